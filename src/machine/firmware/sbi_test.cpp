#include "machine/firmware/sbi.h"

#include "isa/riscv/csr.h"
#include "machine/firmware/sbi_testing.h"

namespace doppel::machine::firmware::test {
namespace {

class Stopwatch final : public isa::riscv::Environment {
  public:
    uint64_t time() const override { return now; }
    std::optional<uint16_t> entropy() const override { return std::nullopt; }
    uint64_t now = 0;
};

class SbiPrepare : public SbiTest {};
class SbiBase : public SbiTest {};
class SbiTime : public SbiTest {};
class SbiSrst : public SbiTest {};
class SbiDbcn : public SbiTest {};

// ---- The hart that is handed over

TEST_F(SbiPrepare, HandsOverSupervisorModeWithTheMmuOffAndEverythingDelegated) {
    hart.privilege = Privilege::kUser;
    hart.csr.satp = kAll;
    hart.csr.mstatus = kAll;
    hart.csr.mie = kAll;
    hart.csr.stimecmp = 5;
    hart.csr.scounteren = 7;
    hart.pending = irq::kSupervisorAll;
    hart.lines = irq::bit(irq::kSupervisorExternal);
    hart.reservation = {1, 2, 8};
    hart.host_firmware = false;
    uint32_t version = hart.translation_version;
    sbi.prepare(hart);

    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_TRUE(hart.host_firmware);
    EXPECT_EQ(hart.csr.satp, 0u);
    EXPECT_EQ(hart.csr.mstatus, isa::riscv::ControlRegisters{}.mstatus);
    EXPECT_FALSE(hart.float_enabled());
    EXPECT_EQ(hart.csr.mie, 0u);
    EXPECT_EQ(hart.csr.mideleg, irq::kSupervisorAll);
    for (uint64_t cause : {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15}) EXPECT_TRUE(hart.csr.medeleg >> cause & 1) << cause;
    EXPECT_FALSE(hart.csr.medeleg >> isa::riscv::cause::kEcallMachine & 1);
    EXPECT_EQ(hart.csr.mcounteren, 7u);
    EXPECT_EQ(hart.csr.scounteren, 7u);
    EXPECT_EQ(hart.csr.menvcfg, uint64_t{7} << 61 | 0xf0);
    EXPECT_EQ(hart.csr.mseccfg, isa::riscv::mseccfg::kSseed) << "entropy for S-mode, none for U-mode";
    EXPECT_EQ(hart.csr.stimecmp, kAll);
    EXPECT_EQ(hart.pending, 0u);
    EXPECT_EQ(hart.lines, irq::bit(irq::kSupervisorExternal)) << "the controllers' lines are not the firmware's";
    EXPECT_EQ(hart.reservation.bytes, 0);
    EXPECT_NE(hart.translation_version, version);
}

TEST_F(SbiPrepare, OpensAllOfMemoryToSupervisorAndUser) {
    using isa::riscv::Access;
    for (uint64_t address : {uint64_t{0}, fake::kRam, (uint64_t{1} << 56) - 8}) {
        for (Access access : {Access::kFetch, Access::kLoad, Access::kStore}) {
            EXPECT_TRUE(isa::riscv::pmp_allows(hart, address, 8, access, Privilege::kSupervisor)) << address;
            EXPECT_TRUE(isa::riscv::pmp_allows(hart, address, 8, access, Privilege::kUser)) << address;
        }
    }
}

// ---- The convention

TEST_F(SbiBase, AnswersNotSupportedToUnknownExtensionsAndFunctions) {
    for (uint64_t extension : {uint64_t{0x11}, uint64_t{0x0a000000}, kAll, uint64_t{0x504d55}, uint64_t{0x53555350}}) {
        EXPECT_EQ(error(extension, 0), kNotSupported) << extension;
    }
    for (uint64_t extension : {kBase, kTime, kIpi, kRfence, kHsm, kSrst, kDbcn, kFwft}) {
        for (uint64_t function : {uint64_t{7}, uint64_t{0x80000000}, kAll}) {
            EXPECT_EQ(error(extension, function), kNotSupported) << extension << " " << function;
        }
    }
    EXPECT_TRUE(machine.resets.empty());
}

TEST_F(SbiBase, AnswersReservedLegacyExtensionsInA0Alone) {
    for (uint64_t extension = 9; extension < 16; extension++) EXPECT_EQ(legacy(extension), kNotSupported) << extension;
}

TEST_F(SbiBase, TakesNumbersAsThirtyTwoBits) {
    Answered answered = call(uint64_t{1} << 32 | kBase, uint64_t{5} << 32);
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_EQ(answered.value, 2u << 24);
}

TEST_F(SbiBase, TellsVersionImplementationAndMachine) {
    EXPECT_EQ(call(kBase, 0).value, 0x0200'0000u);
    EXPECT_EQ(call(kBase, 1).value, kSbiImplementationId);
    EXPECT_EQ(call(kBase, 2).value, kSbiImplementationVersion);
    for (uint64_t function : {4, 5, 6}) {
        EXPECT_EQ(call(kBase, function).error, kSuccess);
        EXPECT_EQ(call(kBase, function).value, 0u);
    }
}

TEST_F(SbiBase, ProbesEveryExtension) {
    for (uint64_t id : {kBase, kTime, kIpi, kRfence, kHsm, kSrst, kDbcn, kFwft})
        EXPECT_EQ(call(kBase, 3, {id}).value, 1u);
    for (uint64_t id = 0; id <= 8; id++) EXPECT_EQ(call(kBase, 3, {id}).value, 1u) << id;
    for (uint64_t id : {uint64_t{9}, uint64_t{0xf}, uint64_t{0x11}, uint64_t{0x504d55}, kAll}) {
        Answered answered = call(kBase, 3, {id});
        EXPECT_EQ(answered.error, kSuccess);
        EXPECT_EQ(answered.value, 0u) << id;
    }
}

TEST_F(SbiBase, EndsTheReservation) {
    hart.reservation = {fake::kRam, 0, 8};
    call(kBase, 0);
    EXPECT_EQ(hart.reservation.bytes, 0);
}

TEST_F(SbiBase, StopsACallerThatCannotBe) {
    enter(kBase, 0, {});
    EXPECT_EQ(sbi.call(kMaxSbiHarts, hart), Next::kStop);
}

// ---- TIME

TEST_F(SbiTime, SetsTheComparisonAndClearsThePendingBit) {
    Stopwatch clock;
    clock.now = 100;
    uint64_t timer = irq::bit(irq::kSupervisorTimer);
    hart.pending = timer | irq::bit(irq::kSupervisorSoftware);
    EXPECT_EQ(error(kTime, 0, {50}), kSuccess);
    EXPECT_EQ(hart.csr.stimecmp, 50u);
    EXPECT_TRUE(isa::riscv::interrupts_pending(hart, clock) & timer);
    EXPECT_EQ(error(kTime, 0, {101}), kSuccess);
    EXPECT_FALSE(isa::riscv::interrupts_pending(hart, clock) & timer);
    EXPECT_EQ(hart.pending, irq::bit(irq::kSupervisorSoftware));
    EXPECT_EQ(error(kTime, 0, {kAll}), kSuccess);
    EXPECT_EQ(hart.csr.stimecmp, kAll);
}

// ---- SRST

TEST_F(SbiSrst, AsksForShutdownAndForReboots) {
    EXPECT_EQ(call(kSrst, 0, {0, 0}).next, Next::kStop);
    EXPECT_EQ(call(kSrst, 0, {1, 0}).next, Next::kStop);
    EXPECT_EQ(call(kSrst, 0, {2, 1}).next, Next::kStop);
    EXPECT_EQ(call(kSrst, 0, {uint64_t{9} << 32, uint64_t{9} << 32 | 1}).next, Next::kStop);
    std::vector<fake::Reset> expected = {{SystemReset::kShutdown, false},
                                         {SystemReset::kReboot, false},
                                         {SystemReset::kReboot, true},
                                         {SystemReset::kShutdown, true}};
    EXPECT_EQ(machine.resets, expected);
}

TEST_F(SbiSrst, RefusesReservedAndVendorTypesAndReasons) {
    for (uint64_t wrong : {uint64_t{3}, uint64_t{0xefffffff}, uint64_t{0xf0000000}, uint64_t{0xffffffff}}) {
        EXPECT_EQ(error(kSrst, 0, {wrong, 0}), kInvalidParam) << wrong;
        Answered reason = call(kSrst, 0, {0, wrong});
        EXPECT_EQ(reason.error, kInvalidParam) << wrong;
        EXPECT_EQ(reason.next, Next::kContinue);
    }
    EXPECT_EQ(error(kSrst, 0, {0, 2}), kInvalidParam);
    EXPECT_TRUE(machine.resets.empty());
}

// ---- DBCN

TEST_F(SbiDbcn, WritesGuestMemoryToTheConsole) {
    ASSERT_TRUE(machine.ram.write(fake::kRam + 4094, std::vector<uint8_t>{'h', 'e', 'l', 'l', 'o'}));
    Answered answered = call(kDbcn, 0, {5, fake::kRam + 4094, 0});
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_EQ(answered.value, 5u);
    EXPECT_EQ(machine.output, "hello");
}

TEST_F(SbiDbcn, WritesABoundedNumberOfBytesInACall) {
    ASSERT_TRUE(machine.ram.fill(fake::kRam, fake::kRamSize, 'x'));
    Answered answered = call(kDbcn, 0, {fake::kRamSize, fake::kRam, 0});
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_GT(answered.value, 0u);
    EXPECT_LT(answered.value, fake::kRamSize);
    EXPECT_EQ(machine.output, std::string(answered.value, 'x'));
}

TEST_F(SbiDbcn, RefusesMemoryThatIsNotThere) {
    for (uint64_t function : {0, 1}) {
        EXPECT_EQ(error(kDbcn, function, {1, fake::kRam - 1, 0}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {2, fake::kRam + fake::kRamSize - 1, 0}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {fake::kRamSize + 1, fake::kRam, 0}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {kAll, fake::kRam, 0}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {kAll, kAll, 0}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {1, fake::kRam, 1}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {1, fake::kRam, kAll}), kInvalidParam);
        EXPECT_EQ(error(kDbcn, function, {0, kAll, kAll}), kSuccess) << "no bytes are nowhere";
    }
    EXPECT_EQ(machine.output, "");
}

TEST_F(SbiDbcn, ReadsWhatThereIsWithoutWaiting) {
    machine.input = "abcdef";
    ASSERT_TRUE(machine.ram.fill(fake::kRam, 8, '.'));
    Answered answered = call(kDbcn, 1, {4, fake::kRam, 0});
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_EQ(answered.value, 4u);
    EXPECT_EQ(call(kDbcn, 1, {100, fake::kRam + 4, 0}).value, 2u);
    EXPECT_EQ(call(kDbcn, 1, {100, fake::kRam, 0}).value, 0u);
    std::array<uint8_t, 8> bytes;
    ASSERT_TRUE(machine.ram.read(fake::kRam, bytes));
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "abcdef..");
}

TEST_F(SbiDbcn, KeepsInputWhenTheGuestCouldNotWriteThere) {
    machine.input = "abc";
    EXPECT_EQ(error(kDbcn, 1, {3, fake::kRom, 0}), kInvalidParam);
    EXPECT_EQ(machine.input, "abc");
    EXPECT_EQ(error(kDbcn, 0, {3, fake::kRom, 0}), kSuccess) << "but it could read there";
}

TEST_F(SbiDbcn, WritesAByte) {
    Answered answered = call(kDbcn, 2, {0xff00 | 'z'});
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_EQ(answered.value, 0u);
    EXPECT_EQ(machine.output, "z");
}

}  // namespace
}  // namespace doppel::machine::firmware::test
