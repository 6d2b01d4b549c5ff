#include <gtest/gtest.h>

#include <thread>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
using isa::riscv::irq::bit;
namespace cause = isa::riscv::cause;
namespace envcfg = isa::riscv::envcfg;
namespace irq = isa::riscv::irq;
namespace mstatus = isa::riscv::mstatus;

constexpr uint64_t kForever = ~uint64_t{0} >> 8;

class RunnerInterrupt : public ::testing::Test, public TestBoard {
  protected:
    static constexpr uint64_t kLoop = kCode + 0x100;

    RunnerInterrupt() {
        put(kLoop, {"addi a0, a0, 1", "jal zero, 0x80001100"});
        put(kHandler, {"csrrw zero, mie, zero", "wfi"});  // so that the interrupt does not end the wait
    }

    void expect_interrupt(unsigned number, uint64_t epc) {
        EXPECT_EQ(vcpu->run(kForever), ExitReason::kWait);
        EXPECT_EQ(hart.pc, kHandler + 8);
        EXPECT_EQ(hart.csr.mcause, cause::kInterrupt | number);
        EXPECT_EQ(hart.csr.mtval, 0u);
        EXPECT_EQ(hart.csr.mepc, epc);
    }
    // The endless loop was left at mepc, and the handler's two instructions ran: the count of retired instructions says
    // the same as a0.
    void expect_exact_loop() {
        ASSERT_TRUE(hart.csr.mepc == kLoop || hart.csr.mepc == kLoop + 4);
        EXPECT_EQ(hart.retired, 2 * reg(reg::kA0) - (hart.csr.mepc == kLoop ? 0 : 1) + 2);
    }
    void enable_machine(unsigned number) {
        hart.csr.mie |= bit(number);
        hart.csr.mstatus |= mstatus::kMie;
    }
    // `run(kForever)` on a thread of its own, until `meanwhile` has ended it.
    template <class Meanwhile>
    ExitReason run_while(Meanwhile meanwhile) {
        ExitReason reason{};
        std::thread thread([&] { reason = vcpu->run(kForever); });
        meanwhile();
        thread.join();
        return reason;
    }
};

TEST_F(RunnerInterrupt, ThatAnotherThreadRaisesEndsAnEndlessLoopExactly) {
    hart.pc = kLoop;
    enable_machine(irq::kMachineExternal);
    ExitReason reason = run_while([&] {
        hart.lines.fetch_or(bit(irq::kMachineExternal));
        vcpu->notify();
    });
    EXPECT_EQ(reason, ExitReason::kWait);
    EXPECT_EQ(hart.csr.mcause, cause::kInterrupt | irq::kMachineExternal);
    expect_exact_loop();
}

TEST_F(RunnerInterrupt, OfTheTimerIsTakenInALoopWithoutNotice) {
    hart.pc = kLoop;
    hart.csr.menvcfg = envcfg::kStce;
    hart.csr.stimecmp = 100;
    time.step = 1;
    enable_machine(irq::kSupervisorTimer);
    EXPECT_EQ(vcpu->run(kForever), ExitReason::kWait);
    EXPECT_EQ(hart.csr.mcause, cause::kInterrupt | irq::kSupervisorTimer);
    expect_exact_loop();
    EXPECT_GT(reg(reg::kA0), 100u);
}

TEST_F(RunnerInterrupt, IsTakenBeforeTheInstructionThatFollowsItsEnabling) {
    hart.lines.store(bit(irq::kMachineTimer));
    struct {
        const char* enabling;
        uint64_t mie, status;
    } cases[] = {
        {"csrrs zero, mie, a1", 0, mstatus::kMie},
        {"csrrsi zero, mstatus, 8", bit(irq::kMachineTimer), 0},
        {"csrrs zero, mip, a2", bit(irq::kSupervisorSoftware), mstatus::kMie},
    };
    reg(reg::kA1) = bit(irq::kMachineTimer), reg(reg::kA2) = bit(irq::kSupervisorSoftware);
    for (const auto& one : cases) {
        put(kCode, {"addi a3, zero, 0", one.enabling, "addi a3, a3, 1", "addi a3, a3, 1", "wfi"});
        vcpu->request_instruction_fence();
        hart.pc = kCode, hart.csr.mie = one.mie, hart.csr.mstatus = one.status;
        EXPECT_EQ(vcpu->run(kForever), ExitReason::kWait);
        EXPECT_EQ(hart.csr.mepc, kCode + 8) << one.enabling;
        EXPECT_EQ(reg(reg::kA3), 0u) << one.enabling;
    }
}

TEST_F(RunnerInterrupt, IsTakenRightAfterTheReturnThatEnablesIt) {
    hart.lines.store(bit(irq::kMachineTimer));
    hart.csr.mie = bit(irq::kMachineTimer);
    put(kCode, {"csrrw zero, mepc, a1", "mret"});
    reg(reg::kA1) = kLoop;
    hart.csr.mstatus = mstatus::kMpie | mstatus::kMpp;
    expect_interrupt(irq::kMachineTimer, kLoop);
    EXPECT_EQ(reg(reg::kA0), 0u);

    put(kCode + 32, {"csrrw zero, sepc, a1", "sret"});
    hart.lines.store(0), hart.pending.store(bit(irq::kSupervisorSoftware));
    hart.csr.mie = hart.csr.mideleg = bit(irq::kSupervisorSoftware);
    hart.csr.mstatus = mstatus::kSpp | mstatus::kSpie;
    put(kCode + 64, {"csrrw zero, sie, zero", "wfi"});
    hart.csr.stvec = kCode + 64;
    hart.privilege = Privilege::kSupervisor, hart.pc = kCode + 32;
    EXPECT_EQ(vcpu->run(kForever), ExitReason::kWait);
    EXPECT_EQ(hart.csr.scause, cause::kInterrupt | irq::kSupervisorSoftware);
    EXPECT_EQ(hart.csr.sepc, kLoop);
    EXPECT_EQ(reg(reg::kA0), 0u);
}

TEST_F(RunnerInterrupt, OfMachineModeInterruptsASupervisorsHandler) {
    hart.csr.stvec = kLoop;
    hart.csr.mideleg = hart.csr.mie = bit(irq::kSupervisorSoftware);
    hart.csr.mie |= bit(irq::kMachineSoftware);
    hart.pending.store(bit(irq::kSupervisorSoftware));
    hart.privilege = Privilege::kUser, hart.pc = kCode;
    ExitReason reason = run_while([&] {
        hart.lines.fetch_or(bit(irq::kMachineSoftware));
        vcpu->notify();
    });
    EXPECT_EQ(reason, ExitReason::kWait);
    EXPECT_EQ(hart.csr.mcause, cause::kInterrupt | irq::kMachineSoftware);
    if (hart.csr.mepc != kCode) {
        EXPECT_EQ(hart.csr.sepc, kCode);
        EXPECT_EQ(hart.csr.scause, cause::kInterrupt | irq::kSupervisorSoftware);
        expect_exact_loop();
    }
}

TEST_F(RunnerInterrupt, PendingAtTheStartIsTakenBeforeTheFirstInstruction) {
    enable_machine(irq::kMachineSoftware);
    hart.lines.store(bit(irq::kMachineSoftware));
    hart.pc = kLoop;
    expect_interrupt(irq::kMachineSoftware, kLoop);
    EXPECT_EQ(hart.retired, 2u) << "the handler only";
}

TEST_F(RunnerInterrupt, AfterAWaitIsTakenBehindTheWfi) {
    put(kCode, {"addi a0, zero, 3", "wfi", "addi a0, zero, 4"});
    hart.csr.mie = bit(irq::kMachineTimer);
    EXPECT_EQ(vcpu->run(kForever), ExitReason::kWait);
    EXPECT_EQ(hart.pc, kCode + 8);
    EXPECT_EQ(hart.retired, 2u) << "the wait retires";
    hart.csr.mstatus |= mstatus::kMie;
    hart.lines.store(bit(irq::kMachineTimer));
    expect_interrupt(irq::kMachineTimer, kCode + 8);
    EXPECT_EQ(reg(reg::kA0), 3u);
}

TEST_F(RunnerInterrupt, ThatIsPendingAndEnabledInMieMakesWfiGoOn) {
    put(kCode, {"wfi", "addi a0, zero, 4", "ebreak"});
    put(kHandler, {"wfi", "jal zero, 0x80000800"});
    hart.csr.mie = bit(irq::kMachineTimer);
    hart.lines.store(bit(irq::kMachineTimer));
    EXPECT_EQ(vcpu->run(10), ExitReason::kBudget) << "the handler's WFI goes on too";
    EXPECT_EQ(hart.csr.mcause, cause::kBreakpoint);
    EXPECT_EQ(reg(reg::kA0), 4u);
}

// ---- Budgets and requests

TEST_F(RunnerInterrupt, BudgetsAreSpentExactly) {
    uint64_t expected = 0;
    for (uint64_t budget : {0, 1, 2, 3, 63, 64, 65, 66, 127, 128, 129, 1000, 16'384, 16'448, 16'449, 100'001}) {
        if (expected == 0) hart.pc = kLoop;
        EXPECT_EQ(vcpu->run(budget), ExitReason::kBudget);
        expected += budget;
        ASSERT_EQ(hart.retired, expected);
        EXPECT_EQ(hart.pc, expected % 2 == 0 ? kLoop : kLoop + 4);
        EXPECT_EQ(reg(reg::kA0), (expected + 1) / 2);
    }
}

TEST_F(RunnerInterrupt, BudgetEndsInsideLongStraightCodeToo) {
    uint64_t address = kPage;
    for (int i = 0; i < 500; i++) address = put(address, {i % 3 ? "addi a0, a0, 1" : "c.addi a0, 1"});
    for (uint64_t budget : {70u, 64u, 200u, 65u}) {
        uint64_t before = hart.retired;
        if (before == 0) hart.pc = kPage;
        EXPECT_EQ(vcpu->run(budget), ExitReason::kBudget);
        EXPECT_EQ(hart.retired, before + budget);
        EXPECT_EQ(reg(reg::kA0), hart.retired);
    }
}

TEST_F(RunnerInterrupt, RequestedExitEndsARunAndTheNextOneAtOnce) {
    hart.pc = kLoop;
    EXPECT_EQ(run_while([&] { vcpu->request_exit(); }), ExitReason::kAttention);
    uint64_t retired = hart.retired;
    vcpu->request_exit();
    EXPECT_EQ(vcpu->run(kForever), ExitReason::kAttention);
    EXPECT_EQ(hart.retired, retired);
    EXPECT_EQ(vcpu->run(10), ExitReason::kBudget) << "a request counts once";
}

TEST_F(RunnerInterrupt, EndlessTrapsObeyARequestedExit) {
    hart.csr.mtvec = kNowhere;
    hart.pc = kNowhere;
    EXPECT_EQ(run_while([&] { vcpu->request_exit(); }), ExitReason::kAttention);
    EXPECT_EQ(hart.retired, 0u);
    // The handler is an illegal instruction; a small budget goes step by step.
    put_halfword(kPage, 0), put_halfword(kPage + 2, 0);
    hart.csr.mtvec = hart.pc = kPage;
    for (uint64_t budget : {uint64_t{1}, kForever}) {
        // Again until a run has trapped: the request may come before the run looks for the first time.
        for (hart.csr.mcause = 0; hart.csr.mcause != cause::kIllegalInstruction;) {
            std::thread other([&] { vcpu->request_exit(); });
            EXPECT_EQ(vcpu->run(budget), ExitReason::kAttention);
            other.join();
        }
    }
    EXPECT_EQ(hart.retired, 0u);
}

TEST_F(RunnerInterrupt, FencesAreDoneSoonWhileGuestCodeRunsAndAtOnceWhileItDoesNot) {
    hart.pc = kLoop;
    vcpu->request_translation_fence();
    EXPECT_TRUE(vcpu->fences_done());
    ExitReason reason = run_while([&] {
        for (int i = 0; i < 200; i++) {
            i % 2 ? vcpu->request_translation_fence() : vcpu->request_instruction_fence();
            while (!vcpu->fences_done()) std::this_thread::yield();
        }
        vcpu->request_exit();
    });
    EXPECT_EQ(reason, ExitReason::kAttention);
    EXPECT_TRUE(vcpu->fences_done());
}

TEST_F(RunnerInterrupt, NothingOfTheOldMappingIsUsedOnceAnothersFenceIsDone) {
    isa::riscv::TestPageTables tables(memory, kTables);
    namespace pte = isa::riscv::pte;
    constexpr uint64_t kVa = 0x4000'0000;
    tables.map(kLoop, kLoop, pte::kAll);
    put(kLoop, {"addi a0, a0, 1", "sd a0, 0(a1)", "jal zero, 0x80001100"});
    hart.csr.satp = tables.satp();
    hart.privilege = Privilege::kSupervisor, hart.pc = kLoop;
    reg(reg::kA1) = kVa;
    uint64_t pages[] = {kPage, kPage + 0x1000};
    tables.map(kVa, pages[0], pte::kAll);
    run_while([&] {
        for (int i = 1; i < 200; i++) {
            tables.map(kVa, pages[i % 2], pte::kAll);
            vcpu->request_translation_fence();
            while (!vcpu->fences_done()) std::this_thread::yield();
            uint64_t old = pages[1 - i % 2], seen = word(old);
            for (int again = 0; again < 20; again++) EXPECT_EQ(word(old), seen);
        }
        vcpu->request_exit();
    });
}

}  // namespace
}  // namespace doppel::cpu::interpret
