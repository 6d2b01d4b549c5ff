#include "isa/riscv/trap.h"

#include <gtest/gtest.h>

#include "base/saved_state.h"
#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

using Outcome = SystemResult::Outcome;

constexpr uint64_t kMachineVector = 0x8000'0100, kSupervisorVector = 0x8000'0200, kPc = 0x8000'1000;
constexpr uint64_t kVectored = 1;

class Trap : public ::testing::Test, public TestHart {
  protected:
    Trap() {
        hart.csr.mtvec = kMachineVector;
        hart.csr.stvec = kSupervisorVector;
        hart.pc = kPc;
    }
    void be(Privilege privilege) { hart.privilege = privilege; }
    bool status(uint64_t bit) const { return hart.csr.mstatus & bit; }
    uint64_t previous() const { return (hart.csr.mstatus & mstatus::kMpp) >> mstatus::kMppShift; }
    void set_previous(Privilege privilege) {
        hart.csr.mstatus &= ~mstatus::kMpp;
        hart.csr.mstatus |= static_cast<uint64_t>(privilege) << mstatus::kMppShift;
    }
    std::optional<unsigned> taken(uint64_t pending) const { return interrupt_to_take(hart, pending); }
    template <class Function>
    Outcome outcome(Function function) {
        SystemContext c = context();
        return function(c).outcome;
    }
};

TEST_F(Trap, ToMachineModeSavesPcCauseValuePrivilegeAndInterruptEnable) {
    be(Privilege::kUser);
    hart.csr.mstatus |= mstatus::kMie;
    take_trap(hart, cause::kLoadPage, 0x1234);
    EXPECT_EQ(hart.privilege, Privilege::kMachine);
    EXPECT_EQ(hart.pc, kMachineVector);
    EXPECT_EQ(hart.csr.mepc, kPc);
    EXPECT_EQ(hart.csr.mcause, 13u);
    EXPECT_EQ(hart.csr.mtval, 0x1234u);
    EXPECT_EQ(previous(), 0u);
    EXPECT_TRUE(status(mstatus::kMpie));
    EXPECT_FALSE(status(mstatus::kMie));
    EXPECT_EQ(hart.csr.sepc, 0u);
}

TEST_F(Trap, ThatIsDelegatedGoesToSupervisorMode) {
    hart.csr.medeleg = 1 << cause::kEcallUser;
    be(Privilege::kUser);
    hart.csr.mstatus |= mstatus::kSie | mstatus::kSpp;
    take_trap(hart, cause::kEcallUser, 0);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(hart.pc, kSupervisorVector);
    EXPECT_EQ(hart.csr.sepc, kPc);
    EXPECT_EQ(hart.csr.scause, 8u);
    EXPECT_EQ(hart.csr.stval, 0u);
    EXPECT_FALSE(status(mstatus::kSpp));
    EXPECT_TRUE(status(mstatus::kSpie));
    EXPECT_FALSE(status(mstatus::kSie));
    EXPECT_EQ(hart.csr.mcause, 0u);
}

TEST_F(Trap, InMachineModeIsNeverDelegated) {
    hart.csr.medeleg = hart.csr.mideleg = ~uint64_t{0};
    take_trap(hart, cause::kIllegalInstruction, 7);
    EXPECT_EQ(hart.privilege, Privilege::kMachine);
    EXPECT_EQ(hart.csr.mtval, 7u);
    EXPECT_EQ(previous(), 3u);
}

TEST_F(Trap, DelegationOfInterruptsAndOfExceptionsAreApart) {
    hart.csr.mideleg = irq::bit(irq::kSupervisorTimer);
    be(Privilege::kSupervisor);
    take_trap(hart, cause::kLoadAccess, 0);  // number 5 too
    EXPECT_EQ(hart.privilege, Privilege::kMachine);
    be(Privilege::kSupervisor);
    take_trap(hart, cause::kInterrupt | irq::kSupervisorTimer, 0);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(hart.csr.scause, cause::kInterrupt | 5);
}

TEST_F(Trap, NestedOnesKeepBothLevels) {
    hart.csr.medeleg = 1 << cause::kBreakpoint;
    hart.csr.mstatus |= mstatus::kSie | mstatus::kMie;
    be(Privilege::kUser);
    take_trap(hart, cause::kBreakpoint, 0);
    take_trap(hart, cause::kIllegalInstruction, 0);
    EXPECT_EQ(hart.csr.mepc, kSupervisorVector);
    EXPECT_EQ(previous(), 1u);
    return_from_machine_trap(hart);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(hart.pc, kSupervisorVector);
    return_from_supervisor_trap(hart);
    EXPECT_EQ(hart.privilege, Privilege::kUser);
    EXPECT_EQ(hart.pc, kPc);
    EXPECT_TRUE(status(mstatus::kSie) && status(mstatus::kMie));
}

TEST_F(Trap, VectorsInterruptsByCauseAndExceptionsToTheBase) {
    hart.csr.mtvec = kMachineVector | kVectored;
    hart.csr.stvec = kSupervisorVector | kVectored;
    take_trap(hart, cause::kInterrupt | irq::kMachineTimer, 0);
    EXPECT_EQ(hart.pc, kMachineVector + 4 * 7);
    take_trap(hart, cause::kStoreAccess, 0);
    EXPECT_EQ(hart.pc, kMachineVector);
    hart.csr.mideleg = irq::kSupervisorAll;
    be(Privilege::kUser);
    take_trap(hart, cause::kInterrupt | irq::kSupervisorExternal, 0);
    EXPECT_EQ(hart.pc, kSupervisorVector + 4 * 9);
}

TEST_F(Trap, EndsTheReservation) {
    hart.reservation = {0x1000, 1, 4};
    take_trap(hart, cause::kBreakpoint, 0);
    EXPECT_EQ(hart.reservation.bytes, 0);
}

TEST_F(Trap, MretRestoresAndLeavesUserAsThePreviousPrivilege) {
    hart.csr.mepc = 0x8000'4003;  // bit 0 is not there
    set_previous(Privilege::kSupervisor);
    hart.csr.mstatus |= mstatus::kMpie;
    return_from_machine_trap(hart);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(hart.pc, 0x8000'4002u);
    EXPECT_TRUE(status(mstatus::kMie));
    EXPECT_TRUE(status(mstatus::kMpie));
    EXPECT_EQ(previous(), 0u);
    hart.csr.mstatus &= ~mstatus::kMpie;
    return_from_machine_trap(hart);
    EXPECT_FALSE(status(mstatus::kMie));
}

TEST_F(Trap, ReturnsClearMprvUnlessTheyStayInMachineMode) {
    for (Privilege to : {Privilege::kUser, Privilege::kSupervisor, Privilege::kMachine}) {
        be(Privilege::kMachine);
        hart.csr.mstatus |= mstatus::kMprv;
        set_previous(to);
        return_from_machine_trap(hart);
        EXPECT_EQ(status(mstatus::kMprv), to == Privilege::kMachine);
    }
    hart.csr.mstatus |= mstatus::kMprv;
    return_from_supervisor_trap(hart);
    EXPECT_FALSE(status(mstatus::kMprv));
}

TEST_F(Trap, SretRestoresTheSupervisorsStack) {
    be(Privilege::kSupervisor);
    hart.csr.sepc = 0x8000'4000;
    hart.csr.mstatus |= mstatus::kSpp | mstatus::kSpie;
    return_from_supervisor_trap(hart);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_TRUE(status(mstatus::kSie) && status(mstatus::kSpie));
    EXPECT_FALSE(status(mstatus::kSpp));
    hart.csr.mstatus &= ~mstatus::kSpie;
    return_from_supervisor_trap(hart);
    EXPECT_EQ(hart.privilege, Privilege::kUser);
    EXPECT_FALSE(status(mstatus::kSie));
}

TEST_F(Trap, ReturnsAreIllegalBelowTheirPrivilegeAndSretUnderTsr) {
    be(Privilege::kSupervisor);
    EXPECT_EQ(outcome(machine_return), Outcome::kIllegal);
    be(Privilege::kUser);
    EXPECT_EQ(outcome(machine_return), Outcome::kIllegal);
    EXPECT_EQ(outcome(supervisor_return), Outcome::kIllegal);
    hart.csr.mstatus |= mstatus::kTsr;
    be(Privilege::kSupervisor);
    EXPECT_EQ(outcome(supervisor_return), Outcome::kIllegal);
    EXPECT_EQ(hart.pc, kPc);
    be(Privilege::kMachine);
    EXPECT_EQ(outcome(supervisor_return), Outcome::kJump);
    EXPECT_EQ(engine.context_changes, 1);
}

TEST_F(Trap, WfiIsIllegalForUsersAndForSupervisorsUnderTw) {
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kWait);
    be(Privilege::kSupervisor);
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kWait);
    be(Privilege::kUser);
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kIllegal);
    hart.csr.mstatus |= mstatus::kTw;
    be(Privilege::kSupervisor);
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kIllegal);
    be(Privilege::kMachine);
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kWait);
}

TEST_F(Trap, WfiGoesOnForAnEnabledInterruptWhateverTheGlobalEnablesSay) {
    hart.lines.store(irq::bit(irq::kMachineTimer));
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kWait) << "not enabled in mie";
    hart.csr.mie = irq::bit(irq::kMachineTimer);
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kNext);
    hart.csr.mideleg = irq::bit(irq::kSupervisorTimer);
    hart.csr.mie = irq::bit(irq::kSupervisorTimer);
    hart.csr.menvcfg = envcfg::kStce;
    hart.csr.stimecmp = 10;
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kWait);
    time.ticks = 10;
    EXPECT_EQ(outcome(wait_for_interrupt), Outcome::kNext);
}

TEST_F(Trap, FencesOfTranslationsAreIllegalForUsersAndForSupervisorsUnderTvm) {
    auto fence = [](SystemContext& c) { return fence_translations(c, 0x5000, false, 0x1'0007, false); };
    be(Privilege::kUser);
    EXPECT_EQ(outcome(fence), Outcome::kIllegal);
    EXPECT_EQ(outcome(fence_invalidations), Outcome::kIllegal);
    be(Privilege::kSupervisor);
    hart.csr.mstatus |= mstatus::kTvm;
    EXPECT_EQ(outcome(fence), Outcome::kIllegal);
    EXPECT_EQ(outcome(fence_invalidations), Outcome::kNext);
    EXPECT_EQ(engine.translation_fences, 0);
    hart.csr.mstatus &= ~mstatus::kTvm;
    EXPECT_EQ(outcome(fence), Outcome::kNext);
    EXPECT_EQ(engine.fenced_address, 0x5000u);
    EXPECT_EQ(engine.fenced_asid, 7u) << "ASIDs have 16 bits";
    EXPECT_FALSE(engine.every_address || engine.every_space);
    EXPECT_EQ(outcome([](SystemContext& c) { return fence_translations(c, 1, true, 1, true); }), Outcome::kNext);
    EXPECT_TRUE(engine.every_address && engine.every_space);
}

TEST_F(Trap, EnvironmentCallsSayWhoCalled) {
    SystemContext c = context();
    EXPECT_EQ(environment_call(c).value, cause::kEcallMachine);
    be(Privilege::kSupervisor);
    EXPECT_EQ(environment_call(c).value, cause::kEcallSupervisor);
    be(Privilege::kUser);
    EXPECT_EQ(environment_call(c).value, cause::kEcallUser);
    hart.host_firmware = true;
    EXPECT_EQ(environment_call(c).value, cause::kEcallUser);
    be(Privilege::kSupervisor);
    EXPECT_EQ(environment_call(c).outcome, Outcome::kFirmwareCall);
    be(Privilege::kMachine);
    EXPECT_EQ(environment_call(c).value, cause::kEcallMachine);
}

// ---- Which interrupt

TEST_F(Trap, InterruptsAreTakenInTheOrderOfTheManual) {
    hart.csr.mie = irq::kMachineAll | irq::kSupervisorAll;
    hart.csr.mstatus |= mstatus::kMie;
    uint64_t pending = hart.csr.mie;
    for (unsigned expected : {11u, 3u, 7u, 9u, 1u, 5u}) {
        EXPECT_EQ(taken(pending), expected);
        pending &= ~irq::bit(expected);
    }
    EXPECT_FALSE(taken(pending));
}

TEST_F(Trap, InterruptsForMachineModeComeBeforeDelegatedOnes) {
    hart.csr.mie = irq::kMachineAll | irq::kSupervisorAll;
    hart.csr.mideleg = irq::bit(irq::kSupervisorExternal);
    be(Privilege::kUser);
    EXPECT_EQ(taken(irq::bit(irq::kSupervisorExternal) | irq::bit(irq::kSupervisorTimer)), irq::kSupervisorTimer);
    EXPECT_EQ(taken(irq::bit(irq::kSupervisorExternal)), irq::kSupervisorExternal);
}

TEST_F(Trap, InterruptsNeedTheEnableOfTheirModeUnlessTheHartIsBelowIt) {
    constexpr uint64_t kTimer = irq::bit(irq::kMachineTimer), kSoftware = irq::bit(irq::kSupervisorSoftware);
    hart.csr.mie = kTimer | kSoftware;
    hart.csr.mideleg = kSoftware;
    struct {
        Privilege privilege;
        uint64_t status;
        bool machine, supervisor;
    } cases[] = {
        {Privilege::kMachine, 0, false, false},
        {Privilege::kMachine, mstatus::kMie, true, false},
        {Privilege::kMachine, mstatus::kSie, false, false},
        {Privilege::kSupervisor, 0, true, false},
        {Privilege::kSupervisor, mstatus::kSie, true, true},
        {Privilege::kUser, 0, true, true},
    };
    for (const auto& one : cases) {
        be(one.privilege);
        hart.csr.mstatus = one.status;
        EXPECT_EQ(taken(kTimer).has_value(), one.machine);
        EXPECT_EQ(taken(kSoftware).has_value(), one.supervisor);
        hart.csr.mie = 0;
        EXPECT_FALSE(taken(kTimer | kSoftware));
        hart.csr.mie = kTimer | kSoftware;
    }
}

// ---- Cache blocks

TEST_F(Trap, CacheBlockOperationsNeedTheirEnablesBelowMachineMode) {
    struct {
        uint64_t enable;
        SystemResult (*operation)(SystemContext&, uint64_t);
    } cases[] = {
        {1 << 4, cache_block_invalidate}, {envcfg::kCbcfe, cache_block_clean}, {envcfg::kCbze, cache_block_zero}};
    for (const auto& one : cases) {
        auto operate = [&](SystemContext& c) { return one.operation(c, kRam); };
        for (unsigned enables = 0; enables < 4; enables++) {
            hart.csr.menvcfg = enables & 1 ? one.enable : ~one.enable & envcfg::kSupervisorMask & ~envcfg::kCbie;
            hart.csr.senvcfg = enables & 2 ? one.enable : 0;
            be(Privilege::kMachine);
            EXPECT_EQ(outcome(operate), Outcome::kNext);
            be(Privilege::kSupervisor);
            EXPECT_EQ(outcome(operate), enables & 1 ? Outcome::kNext : Outcome::kIllegal);
            be(Privilege::kUser);
            EXPECT_EQ(outcome(operate), enables == 3 ? Outcome::kNext : Outcome::kIllegal);
        }
    }
}

TEST_F(Trap, CacheBlockZeroClearsTheBlockAroundTheAddressAndNoMore) {
    ASSERT_TRUE(memory.fill(kRam, 192, 0xee));
    EXPECT_EQ(outcome([](SystemContext& c) { return cache_block_zero(c, kRam + 64 + 17); }), Outcome::kNext);
    EXPECT_EQ(memory.load<uint8_t>(kRam + 63), 0xee);
    for (unsigned i = 0; i < 8; i++) EXPECT_EQ(memory.load<uint64_t>(kRam + 64 + 8 * i), 0u);
    EXPECT_EQ(memory.load<uint8_t>(kRam + 128), 0xee);
}

TEST_F(Trap, CacheBlockOperationsFaultAsStoresWithTheirAddress) {
    SystemContext c = context();
    SystemResult rom = cache_block_zero(c, kRom + 8);
    EXPECT_EQ(rom.outcome, Outcome::kTrap);
    EXPECT_EQ(rom.value, cause::kStoreAccess);
    EXPECT_EQ(rom.tval, kRom + 8);
    hart.csr.menvcfg = envcfg::kMachineMask;
    hart.csr.satp = uint64_t{8} << 60 | kRam >> 12;  // an empty table
    be(Privilege::kSupervisor);
    for (auto operation : {cache_block_zero, cache_block_clean, cache_block_invalidate}) {
        SystemResult unmapped = operation(c, 0x4321);
        EXPECT_EQ(unmapped.outcome, Outcome::kTrap);
        EXPECT_EQ(unmapped.value, cause::kStorePage);
        EXPECT_EQ(unmapped.tval, 0x4321u);
    }
}

TEST_F(Trap, PauseIsAHintForTheEngineInEveryMode) {
    for (Privilege privilege : {Privilege::kUser, Privilege::kSupervisor, Privilege::kMachine}) {
        be(privilege);
        EXPECT_EQ(outcome(pause), Outcome::kNext);
    }
    EXPECT_EQ(engine.pauses, 3);
}

}  // namespace
}  // namespace doppel::isa::riscv
