#include "isa/riscv/csr_aia.h"

#include <gtest/gtest.h>

#include <map>

#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

constexpr uint64_t kAllOnes = ~uint64_t{0};
constexpr uint32_t kMie = 0x304, kMideleg = 0x303, kMip = 0x344, kMvien = 0x308, kMvip = 0x309, kMenvcfg = 0x30a;
constexpr uint32_t kMiselect = 0x350, kMireg = 0x351, kMtopei = 0x35c, kMtopi = 0xfb0;
constexpr uint32_t kSiselect = 0x150, kSireg = 0x151, kStopei = 0x15c, kStopi = 0xdb0;
constexpr uint32_t kOfMachine[] = {kMiselect, kMireg, kMtopei, kMtopi, kMvien, kMvip};
constexpr uint32_t kOfSupervisor[] = {kSiselect, kSireg, kStopei, kStopi};

// Registers that keep everything, and a top that the test chooses.
class TestFile final : public InterruptFile {
  public:
    uint64_t read(uint32_t select) const override {
        auto found = registers.find(select);
        return found == registers.end() ? 0 : found->second;
    }
    void write(uint32_t select, uint64_t value, uint64_t mask) override {
        registers[select] = (read(select) & ~mask) | (value & mask);
        last_mask = mask;
    }
    uint32_t top() const override {
        uint32_t now = topmost;
        if (next_top != 0) topmost = next_top, next_top = 0;
        return now;
    }
    void claim(uint32_t identity) override { claimed = identity; }

    std::map<uint32_t, uint64_t> registers;
    uint64_t last_mask = 0;
    mutable uint32_t topmost = 0;
    mutable uint32_t next_top = 0;  // arrives as soon as the present one was read
    uint32_t claimed = 0xffff;
};

class CsrAia : public ::testing::Test, public TestHart {
  protected:
    CsrAia() { hart.interrupt_files = {&machine, &supervisor}; }
    SystemResult access(uint32_t number, CsrOperation operation, uint64_t operand) {
        SystemContext c = context();
        return csr_access(c, number, operation, operand);
    }
    static bool illegal(const SystemResult& result) { return result.outcome == SystemResult::Outcome::kIllegal; }

    TestFile machine, supervisor;
};

TEST_F(CsrAia, ExistWithInterruptFilesOnly) {
    for (uint32_t n : kOfMachine) EXPECT_EQ(read(n).has_value(), n != kMireg) << std::hex << n;
    for (uint32_t n : kOfSupervisor) EXPECT_EQ(read(n).has_value(), n != kSireg) << std::hex << n;
    poke(kMiselect, 0x70), poke(kSiselect, 0x70);
    EXPECT_TRUE(read(kMireg).has_value());
    EXPECT_TRUE(read(kSireg).has_value());
    hart.interrupt_files = {};
    for (uint32_t n : kOfMachine) {
        EXPECT_FALSE(read(n).has_value()) << std::hex << n;
        EXPECT_FALSE(write(n, 0)) << std::hex << n;
        EXPECT_TRUE(illegal(access(n, CsrOperation::kSet, 1))) << std::hex << n;
    }
    for (uint32_t n : kOfSupervisor) EXPECT_FALSE(read(n).has_value()) << std::hex << n;
}

TEST_F(CsrAia, KeepToTheirPrivileges) {
    poke(kMiselect, 0x70), poke(kSiselect, 0x70);
    hart.privilege = Privilege::kSupervisor;
    for (uint32_t n : kOfMachine) EXPECT_FALSE(read(n).has_value()) << std::hex << n;
    for (uint32_t n : kOfSupervisor) EXPECT_TRUE(read(n).has_value()) << std::hex << n;
    hart.privilege = Privilege::kUser;
    for (uint32_t n : kOfSupervisor) EXPECT_FALSE(read(n).has_value()) << std::hex << n;
    hart.privilege = Privilege::kMachine;
    for (uint32_t n : {kMtopi, kStopi}) EXPECT_FALSE(write(n, 0)) << std::hex << n;
}

TEST_F(CsrAia, SelectsKeepNineBits) {
    for (uint32_t n : {kMiselect, kSiselect}) {
        poke(n, kAllOnes);
        EXPECT_EQ(peek(n), 0x1ffu);
        poke(n, 0x70);
        EXPECT_EQ(peek(n), 0x70u);
    }
}

TEST_F(CsrAia, WindowShowsWhatRv64Has) {
    for (uint64_t select = 0; select < 0x200; select++) {
        poke(kSiselect, select);
        bool priorities = select >= 0x30 && select <= 0x3f, file = select >= 0x70 && select <= 0xff;
        bool arrays = priorities || select >= 0x80;
        bool there = (priorities || file) && !(arrays && select % 2 != 0);
        EXPECT_EQ(read(kSireg).has_value(), there) << std::hex << select;
        EXPECT_EQ(write(kSireg, 5), there) << std::hex << select;
    }
    EXPECT_TRUE(machine.registers.empty());
    EXPECT_FALSE(supervisor.registers.contains(0x30)) << "priorities are read-only zeros";
    poke(kSiselect, 0x30);
    EXPECT_EQ(read(kSireg), 0u);
}

TEST_F(CsrAia, EachLevelReachesItsOwnFile) {
    poke(kMiselect, 0xc0), poke(kSiselect, 0xc2);
    poke(kMireg, 0x11), poke(kSireg, 0x22);
    EXPECT_EQ(machine.registers.at(0xc0), 0x11u);
    EXPECT_EQ(supervisor.registers.at(0xc2), 0x22u);
    machine.topmost = 7 << 16 | 7, supervisor.topmost = 9 << 16 | 9;
    EXPECT_EQ(read(kMtopei), 7u << 16 | 7);
    EXPECT_EQ(read(kStopei), 9u << 16 | 9);
}

TEST_F(CsrAia, SetAndClearNameTheirBitsOnly) {
    poke(kSiselect, 0x80);
    access(kSireg, CsrOperation::kSet, 0x30);
    EXPECT_EQ(supervisor.last_mask, 0x30u);
    EXPECT_EQ(supervisor.registers.at(0x80), 0x30u);
    access(kSireg, CsrOperation::kClear, 0x10);
    EXPECT_EQ(supervisor.last_mask, 0x10u);
    EXPECT_EQ(supervisor.registers.at(0x80), 0x20u);
    access(kSireg, CsrOperation::kWrite, 1);
    EXPECT_EQ(supervisor.last_mask, kAllOnes);
    EXPECT_EQ(supervisor.registers.at(0x80), 1u);
}

TEST_F(CsrAia, ClaimIsOfWhatTheSameInstructionRead) {
    supervisor.topmost = 40 << 16 | 40, supervisor.next_top = 3 << 16 | 3;  // a higher one arrives between
    SystemResult result = access(kStopei, CsrOperation::kWrite, 0);
    EXPECT_EQ(result.value, 40u << 16 | 40);
    EXPECT_EQ(supervisor.claimed, 40u);
    machine.topmost = 0;
    EXPECT_EQ(access(kMtopei, CsrOperation::kWrite, 0).value, 0u);
    EXPECT_EQ(machine.claimed, 0u);
    // Reading alone claims nothing.
    supervisor.claimed = 0xffff;
    access(kStopei, CsrOperation::kRead, 0);
    EXPECT_EQ(supervisor.claimed, 0xffffu);
    // By itself, a write claims what is on top.
    ASSERT_TRUE(write(kStopei, kAllOnes));
    EXPECT_EQ(supervisor.claimed, 3u);
}

TEST_F(CsrAia, TopInterruptIsTheFirstOfItsLevelWhateverTheGlobalEnables) {
    namespace bits = irq;
    poke(kMie, kAllOnes);
    poke(kMideleg, bits::kSupervisorAll);
    EXPECT_EQ(read(kMtopi), 0u);
    EXPECT_EQ(read(kStopi), 0u);
    hart.lines.store(bits::bit(bits::kMachineTimer) | bits::bit(bits::kSupervisorExternal));
    hart.pending.store(bits::bit(bits::kSupervisorSoftware));
    EXPECT_EQ(read(kMtopi), uint64_t{bits::kMachineTimer} << 16 | 1);
    EXPECT_EQ(read(kStopi), uint64_t{bits::kSupervisorExternal} << 16 | 1);
    hart.lines.store(bits::bit(bits::kMachineTimer) | bits::bit(bits::kMachineExternal));
    EXPECT_EQ(read(kMtopi), uint64_t{bits::kMachineExternal} << 16 | 1);
    EXPECT_EQ(read(kStopi), uint64_t{bits::kSupervisorSoftware} << 16 | 1);
    poke(kMie, 0);
    EXPECT_EQ(read(kMtopi), 0u);
    EXPECT_EQ(read(kStopi), 0u);
}

TEST_F(CsrAia, MvipIsAnAliasOfWhatSoftwareWritesInMip) {
    poke(kMvien, kAllOnes);
    EXPECT_EQ(read(kMvien), 0u);
    hart.lines.store(irq::bit(irq::kSupervisorExternal));
    EXPECT_EQ(read(kMvip), 0u) << "the controller's line is not software's";
    poke(kMvip, kAllOnes);
    EXPECT_EQ(read(kMvip), irq::kSupervisorAll);
    EXPECT_EQ(peek(kMip) & irq::kSupervisorAll, irq::kSupervisorAll);
    poke(kMenvcfg, envcfg::kStce);
    poke(0x14d, kAllOnes);
    EXPECT_EQ(read(kMvip), irq::bit(1) | irq::bit(9)) << "the timer's is read-only with Sstc";
    access(kMvip, CsrOperation::kClear, irq::bit(1));
    EXPECT_EQ(read(kMvip), irq::bit(9));
}

}  // namespace
}  // namespace doppel::isa::riscv
