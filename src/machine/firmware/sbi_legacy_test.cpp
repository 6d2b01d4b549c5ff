#include "machine/firmware/sbi_testing.h"

namespace doppel::machine::firmware::test {
namespace {

enum : uint64_t { kSetTimer, kPutchar, kGetchar, kClearIpi, kSendIpi, kFenceI, kSfenceVma, kSfenceVmaAsid, kShutdown };

class SbiLegacy : public SbiTest {
  protected:
    static constexpr uint64_t kMask = fake::kRam + 0x2000;
    static constexpr uint64_t kReadable = 0b100'0011, kTable = 1;  // page table entries: A, R, V; a pointer

    uint64_t put_mask(uint64_t mask, uint64_t address = kMask) {
        EXPECT_TRUE(machine.ram.store<uint64_t>(address, mask));
        return address;
    }
    // Sv39 with two pages: 0x1000 at RAM's page 5, 0x2000 at its page 9.
    void map_two_pages() {
        uint64_t root = fake::kRam + 0x10000, middle = root + 0x1000, last = root + 0x2000;
        auto entry = [](uint64_t address, uint64_t flags) { return address >> 12 << 10 | flags; };
        EXPECT_TRUE(machine.ram.store<uint64_t>(root, entry(middle, kTable)));
        EXPECT_TRUE(machine.ram.store<uint64_t>(middle, entry(last, kTable)));
        EXPECT_TRUE(machine.ram.store<uint64_t>(last + 8, entry(fake::kRam + 0x5000, kReadable)));
        EXPECT_TRUE(machine.ram.store<uint64_t>(last + 16, entry(fake::kRam + 0x9000, kReadable)));
        hart.csr.satp = uint64_t{8} << 60 | root >> 12;
    }
    void expect_fault(uint64_t extension, uint64_t pointer, uint64_t cause, uint64_t tval) {
        constexpr uint64_t kHandler = fake::kRam + 0x800;
        hart.csr.stvec = kHandler;
        hart.pc = kPc;
        hart.privilege = Privilege::kSupervisor;
        auto before = enter(extension, 0, {pointer, 0, 0, 0});
        EXPECT_EQ(sbi.call(kCaller, hart), Next::kContinue);
        EXPECT_EQ(hart.pc, kHandler);
        EXPECT_EQ(hart.csr.sepc, kPc) << "at the ecall";
        EXPECT_EQ(hart.csr.scause, cause);
        EXPECT_EQ(hart.csr.stval, tval);
        EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
        expect_registers(before, 10);
    }
};

TEST_F(SbiLegacy, SetsTheTimer) {
    hart.pending = irq::kSupervisorAll;
    EXPECT_EQ(legacy(kSetTimer, {1234}), 0);
    EXPECT_EQ(hart.csr.stimecmp, 1234u);
    EXPECT_FALSE(hart.pending & irq::bit(irq::kSupervisorTimer));
}

TEST_F(SbiLegacy, WritesAndReadsCharacters) {
    EXPECT_EQ(legacy(kPutchar, {0x100 | 'q'}), 0);
    EXPECT_EQ(machine.output, "q");
    machine.input = "a\xff";
    EXPECT_EQ(legacy(kGetchar), 'a');
    EXPECT_EQ(legacy(kGetchar), 0xff);
    EXPECT_EQ(legacy(kGetchar), -1);
}

TEST_F(SbiLegacy, ClearsItsOwnInterrupt) {
    hart.pending = irq::bit(irq::kSupervisorSoftware) | irq::bit(irq::kSupervisorExternal);
    EXPECT_GT(legacy(kClearIpi), 0);
    EXPECT_EQ(hart.pending, irq::bit(irq::kSupervisorExternal));
    EXPECT_EQ(legacy(kClearIpi), 0);
}

TEST_F(SbiLegacy, InterruptsAndFencesTheHartsOfTheMaskInMemory) {
    EXPECT_EQ(legacy(kSendIpi, {put_mask(0b110)}), 0);
    EXPECT_EQ(machine.interrupted, 0b110u);
    EXPECT_EQ(legacy(kFenceI, {put_mask(0b011)}), 0);
    EXPECT_EQ(fenced_instructions(), 0b011u);
    EXPECT_EQ(legacy(kSfenceVma, {put_mask(0b101), 0x1000, 0x1000}), 0);
    EXPECT_EQ(fenced_translations(), 0b101u);
    EXPECT_EQ(legacy(kSfenceVmaAsid, {put_mask(0b100), 0, kAll, 5}), 0);
    EXPECT_EQ(fenced_translations(), 0b100u);
    EXPECT_EQ(machine.waits.size(), 3u);
}

TEST_F(SbiLegacy, TakesNoPointerAsAllHarts) {
    EXPECT_EQ(legacy(kSendIpi, {0}), 0);
    EXPECT_EQ(machine.interrupted, 0b111u);
}

TEST_F(SbiLegacy, RefusesHartsRangesAndSpacesThatDoNotExist) {
    for (uint64_t extension : {kSendIpi, kFenceI, kSfenceVma, kSfenceVmaAsid}) {
        EXPECT_LT(legacy(extension, {put_mask(0b1001), 0, 0, 0}), 0);
    }
    EXPECT_LT(legacy(kSfenceVma, {put_mask(1), kAll, 2}), 0);
    EXPECT_LT(legacy(kSfenceVmaAsid, {put_mask(1), kAll, 2, 0}), 0);
    EXPECT_LT(legacy(kSfenceVmaAsid, {put_mask(1), 0, 0, 0x10000}), 0);
    EXPECT_EQ(machine.interrupted | fenced_instructions() | fenced_translations(), 0u);
}

TEST_F(SbiLegacy, FollowsTheGuestsTranslationAlsoAcrossPages) {
    map_two_pages();
    put_mask(0b001, fake::kRam + 0x5008);
    EXPECT_EQ(legacy(kSendIpi, {0x1008}), 0);
    EXPECT_EQ(machine.interrupted, 0b001u);
    machine.interrupted = 0;
    // Little-endian, its first byte the last of one page, all others in the next.
    EXPECT_TRUE(machine.ram.store<uint8_t>(fake::kRam + 0x5fff, 0b110));
    EXPECT_EQ(legacy(kSendIpi, {0x1fff}), 0);
    EXPECT_EQ(machine.interrupted, 0b110u);
}

TEST_F(SbiLegacy, SendsAFaultingPointerToTheGuestsHandler) {
    using namespace isa::riscv;
    for (uint64_t extension : {kSendIpi, kFenceI, kSfenceVma, kSfenceVmaAsid}) {
        expect_fault(extension, 0x4000'0000, cause::kLoadAccess, 0x4000'0000);
        expect_fault(extension, fake::kRam + fake::kRamSize - 3, cause::kLoadAccess, fake::kRam + fake::kRamSize);
        expect_fault(extension, kAll, cause::kLoadAccess, kAll);
    }
    map_two_pages();
    for (uint64_t extension : {kSendIpi, kFenceI, kSfenceVma, kSfenceVmaAsid}) {
        expect_fault(extension, 0x3000, cause::kLoadPage, 0x3000);
        expect_fault(extension, 0x2ffc, cause::kLoadPage, 0x3000);
        expect_fault(extension, uint64_t{1} << 63, cause::kLoadPage, uint64_t{1} << 63);
    }
    EXPECT_EQ(machine.interrupted | fenced_instructions() | fenced_translations(), 0u);
}

TEST_F(SbiLegacy, ShutsDown) {
    legacy(kShutdown, {}, Next::kStop);
    std::vector<fake::Reset> expected = {{SystemReset::kShutdown, false}};
    EXPECT_EQ(machine.resets, expected);
}

}  // namespace
}  // namespace doppel::machine::firmware::test
