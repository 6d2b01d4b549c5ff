// Sets of harts, and the extensions that work on other harts: IPI, RFENCE, HSM.
#include "machine/firmware/sbi_testing.h"

namespace doppel::machine::firmware::test {
namespace {

class SbiIpi : public SbiTest {};
class SbiRfence : public SbiTest {};
class SbiHsm : public SbiTest {};

class SbiSixtyFourHarts : public SbiTest {
  protected:
    SbiSixtyFourHarts() : SbiTest(64) {}
};

TEST_F(SbiIpi, InterruptsTheHartsOfTheMask) {
    EXPECT_EQ(error(kIpi, 0, {0b101, 0}), kSuccess);
    EXPECT_EQ(machine.interrupted, 0b101u);
    machine.interrupted = 0;
    EXPECT_EQ(error(kIpi, 0, {0b11, 1}), kSuccess);
    EXPECT_EQ(machine.interrupted, 0b110u);
}

TEST_F(SbiIpi, TakesBaseMinusOneAsAllHarts) {
    EXPECT_EQ(error(kIpi, 0, {0, kAll}), kSuccess);
    EXPECT_EQ(machine.interrupted, 0b111u);
}

TEST_F(SbiIpi, TakesAnEmptyMaskAtAnyBase) {
    for (uint64_t base : {uint64_t{0}, uint64_t{3}, uint64_t{64}, uint64_t{1} << 63, kAll - 1}) {
        EXPECT_EQ(error(kIpi, 0, {0, base}), kSuccess) << base;
    }
    EXPECT_EQ(machine.interrupted, 0u);
}

TEST_F(SbiIpi, InterruptsNoneWhenOneDoesNotExist) {
    struct {
        uint64_t mask, base;
    } const wrong[] = {{0b1000, 0},
                       {0b1001, 0},
                       {1, 3},
                       {0b11, 2},
                       {uint64_t{1} << 63, 0},
                       {kAll, 0},
                       {1, 64},
                       {2, 63},
                       {uint64_t{1} << 63, 1},
                       {1, kAll - 1},
                       {3, kAll - 1},
                       {kAll, uint64_t{1} << 63}};
    for (auto [mask, base] : wrong) EXPECT_EQ(error(kIpi, 0, {mask, base}), kInvalidParam) << mask << " " << base;
    EXPECT_EQ(machine.interrupted, 0u);
}

TEST_F(SbiSixtyFourHarts, TakesMasksUpToTheLastBit) {
    EXPECT_EQ(error(kIpi, 0, {kAll, 0}), kSuccess);
    EXPECT_EQ(machine.interrupted, kAll);
    machine.interrupted = 0;
    EXPECT_EQ(error(kIpi, 0, {1, 63}), kSuccess);
    EXPECT_EQ(machine.interrupted, uint64_t{1} << 63);
    EXPECT_EQ(error(kIpi, 0, {kAll >> 1, 1}), kSuccess);
    EXPECT_EQ(error(kIpi, 0, {0, kAll}), kSuccess);
    EXPECT_EQ(machine.interrupted, kAll);
    // Bits that would be shifted out of the word.
    EXPECT_EQ(error(kIpi, 0, {3, 63}), kInvalidParam);
    EXPECT_EQ(error(kIpi, 0, {kAll, 1}), kInvalidParam);
    EXPECT_EQ(error(kIpi, 0, {1, 64}), kInvalidParam);
}

// ---- RFENCE

TEST_F(SbiRfence, FencesInstructionsOfTheHartsAndWaits) {
    EXPECT_EQ(error(kRfence, 0, {0b101, 0}), kSuccess);
    EXPECT_EQ(fenced_instructions(), 0b101u);
    EXPECT_EQ(fenced_translations(), 0u);
    ASSERT_EQ(machine.waits.size(), 1u);
    EXPECT_EQ(machine.waits[0], (std::pair<unsigned, uint64_t>{kCaller, 0b101}));
}

TEST_F(SbiRfence, FencesTranslationsOfTheHartsAndWaits) {
    EXPECT_EQ(error(kRfence, 1, {0, kAll, 0, 0}), kSuccess);
    EXPECT_EQ(fenced_translations(), 0b111u) << "the caller too";
    EXPECT_EQ(error(kRfence, 2, {0b10, 1, 0x1000, 0x2000, 0xffff}), kSuccess);
    EXPECT_EQ(fenced_translations(), 0b100u);
    EXPECT_EQ(fenced_instructions(), 0u);
    EXPECT_EQ(machine.waits.size(), 2u);
}

TEST_F(SbiRfence, AsksStoppedHartsToo) {
    machine.states[2] = HartState::kStopped;
    EXPECT_EQ(error(kRfence, 0, {0b100, 0}), kSuccess);
    EXPECT_EQ(fenced_instructions(), 0b100u);
}

TEST_F(SbiRfence, WaitsForNobodyWhenTheMaskIsEmpty) {
    for (uint64_t function : {0, 1, 2}) EXPECT_EQ(error(kRfence, function, {0, 0, 0, 0, 0}), kSuccess);
    EXPECT_TRUE(machine.waits.empty());
}

TEST_F(SbiRfence, TakesEveryRangeThatDoesNotWrap) {
    for (uint64_t function : {1, 2}) {
        EXPECT_EQ(error(kRfence, function, {1, 0, 0, kAll, 1}), kSuccess);
        EXPECT_EQ(error(kRfence, function, {1, 0, 0x1000, kAll, 1}), kSuccess) << "this size means everything";
        EXPECT_EQ(error(kRfence, function, {1, 0, kAll, 0, 1}), kSuccess);
        EXPECT_EQ(error(kRfence, function, {1, 0, kAll - 0xfff, 0x1000, 1}), kSuccess) << "the last page";
        EXPECT_EQ(fenced_translations(), 1u);
        EXPECT_EQ(error(kRfence, function, {1, 0, kAll - 0xfff, 0x1001, 1}), kInvalidAddress);
        EXPECT_EQ(error(kRfence, function, {1, 0, 3, kAll - 1, 1}), kInvalidAddress);
        EXPECT_EQ(fenced_translations(), 0u);
    }
}

TEST_F(SbiRfence, RefusesAnAsidThatSatpCannotHold) {
    EXPECT_EQ(error(kRfence, 2, {1, 0, 0, 0, 0x10000}), kInvalidParam);
    EXPECT_EQ(error(kRfence, 2, {1, 0, 0, 0, kAll}), kInvalidParam);
    EXPECT_EQ(fenced_translations(), 0u);
}

TEST_F(SbiRfence, RefusesHartsThatDoNotExist) {
    for (uint64_t function : {0, 1, 2}) {
        EXPECT_EQ(error(kRfence, function, {0b1001, 0, 0, 0, 0}), kInvalidParam);
        EXPECT_EQ(error(kRfence, function, {1, kAll - 1, 0, 0, 0}), kInvalidParam);
    }
    EXPECT_EQ(fenced_instructions() | fenced_translations(), 0u);
    EXPECT_TRUE(machine.waits.empty());
}

TEST_F(SbiRfence, HasNoHypervisorFences) {
    for (uint64_t function : {3, 4, 5, 6}) EXPECT_EQ(error(kRfence, function, {1, 0, 0, 0, 0}), kNotSupported);
}

// ---- HSM

TEST_F(SbiHsm, StartsAStoppedHart) {
    machine.states[2] = HartState::kStopped;
    EXPECT_EQ(error(kHsm, 0, {2, fake::kRam + 2, 0xabc}), kSuccess);
    std::vector<fake::Started> expected = {{2, fake::kRam + 2, 0xabc}};
    EXPECT_EQ(machine.started, expected);
    EXPECT_EQ(error(kHsm, 0, {2, fake::kRam, 0}), kAlreadyAvailable) << "its start is pending";
}

TEST_F(SbiHsm, RefusesToStartWhatIsNotStopped) {
    machine.states[2] = HartState::kSuspended;
    EXPECT_EQ(error(kHsm, 0, {0, fake::kRam, 0}), kAlreadyAvailable);
    EXPECT_EQ(error(kHsm, 0, {kCaller, fake::kRam, 0}), kAlreadyAvailable);
    EXPECT_EQ(error(kHsm, 0, {2, fake::kRam, 0}), kAlreadyAvailable);
    machine.states[2] = HartState::kStopPending;
    EXPECT_EQ(error(kHsm, 0, {2, fake::kRam, 0}), kFailed);
    EXPECT_TRUE(machine.started.empty());
}

TEST_F(SbiHsm, RefusesHartsAndAddressesThatDoNotExist) {
    machine.states[2] = HartState::kStopped;
    for (uint64_t id : {uint64_t{3}, uint64_t{64}, uint64_t{1} << 32 | 2, kAll}) {
        EXPECT_EQ(error(kHsm, 0, {id, fake::kRam, 0}), kInvalidParam) << id;
        EXPECT_EQ(error(kHsm, 2, {id}), kInvalidParam) << id;
    }
    for (uint64_t pc : {uint64_t{0}, fake::kRam - 2, fake::kRam + 1, fake::kRam + fake::kRamSize, kAll - 1, kAll}) {
        EXPECT_EQ(error(kHsm, 0, {2, pc, 0}), kInvalidAddress) << pc;
        EXPECT_EQ(error(kHsm, 3, {0x80000000, pc, 0}), kInvalidAddress) << pc;
    }
    EXPECT_TRUE(machine.started.empty());
}

TEST_F(SbiHsm, TellsTheState) {
    for (HartState state : {HartState::kStarted, HartState::kStopped, HartState::kStartPending, HartState::kStopPending,
                            HartState::kSuspended, HartState::kSuspendPending, HartState::kResumePending}) {
        machine.states[2] = state;
        Answered answered = call(kHsm, 2, {2});
        EXPECT_EQ(answered.error, kSuccess);
        EXPECT_EQ(answered.value, static_cast<uint64_t>(state));
    }
}

TEST_F(SbiHsm, StopsTheCaller) {
    EXPECT_EQ(call(kHsm, 1).next, Next::kStop);
}

TEST_F(SbiHsm, SuspendsAndReturnsWhenStateIsRetained) {
    hart.csr.satp = uint64_t{8} << 60;
    hart.csr.mstatus |= isa::riscv::mstatus::kSie;
    // resume_addr is not used, and the upper half of suspend_type means nothing.
    Answered answered = call(kHsm, 3, {uint64_t{1} << 32, kAll, 7});
    EXPECT_EQ(answered.next, Next::kSuspend);
    EXPECT_EQ(answered.error, kSuccess);
    EXPECT_EQ(hart.csr.satp, uint64_t{8} << 60);
    EXPECT_TRUE(hart.csr.mstatus & isa::riscv::mstatus::kSie);
}

TEST_F(SbiHsm, ResumesAtTheAddressWhenStateIsNotRetained) {
    hart.csr.satp = uint64_t{8} << 60;
    hart.csr.mstatus |= isa::riscv::mstatus::kSie;
    hart.csr.mie = irq::kSupervisorAll;
    enter(kHsm, 3, {0x8000'0000, fake::kRam + 0x40, 0xabc});
    EXPECT_EQ(sbi.call(kCaller, hart), Next::kSuspend);
    EXPECT_EQ(hart.pc, fake::kRam + 0x40);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(hart.csr.satp, 0u);
    EXPECT_FALSE(hart.csr.mstatus & isa::riscv::mstatus::kSie);
    EXPECT_EQ(hart.x[10], kCaller);
    EXPECT_EQ(hart.x[11], 0xabcu);
    EXPECT_EQ(hart.csr.mie, irq::kSupervisorAll) << "or nothing would wake it";
}

TEST_F(SbiHsm, RefusesReservedAndPlatformSuspendTypes) {
    for (uint64_t type : {0x1, 0xfffffff, 0x10000000, 0x7fffffff}) {
        EXPECT_EQ(error(kHsm, 3, {type, fake::kRam, 0}), kInvalidParam) << type;
        EXPECT_EQ(error(kHsm, 3, {type | 0x80000000, fake::kRam, 0}), kInvalidParam) << type;
        EXPECT_EQ(call(kHsm, 3, {type, fake::kRam, 0}).next, Next::kContinue);
    }
}

}  // namespace
}  // namespace doppel::machine::firmware::test
