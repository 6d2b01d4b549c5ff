#include <gtest/gtest.h>

#include <string>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
namespace cause = isa::riscv::cause;
namespace irq = isa::riscv::irq;

std::string at(uint64_t address) {
    return std::to_string(address);
}

class RunnerDebug : public ::testing::Test, public TestBoard {
  protected:
    static constexpr uint64_t kPlenty = 1'000'000;

    RunnerDebug() {
        reg(reg::kA1) = kData;
        hart.pc = kCode;
    }
    void program(const std::vector<std::string>& lines) {
        put(put(kCode, lines), {"ebreak"});
        vcpu->request_instruction_fence();
        hart.pc = kCode;
    }
    void debug(std::vector<uint64_t> breakpoints, std::vector<Watchpoint> watchpoints = {}) {
        vcpu->set_debug_points(std::make_shared<DebugPoints>(std::move(breakpoints), std::move(watchpoints)));
    }
    // Runs, and expects the stop at `pc` with `retired` instructions behind it since the last look.
    void stops(ExitReason reason, uint64_t pc, uint64_t retired, uint64_t budget = kPlenty) {
        uint64_t before = hart.retired;
        EXPECT_EQ(vcpu->run(budget), reason);
        EXPECT_EQ(hart.pc, pc);
        EXPECT_EQ(hart.retired - before, retired);
    }
};

constexpr uint64_t kLoop = ProgramMachine::kCode + 4;

TEST_F(RunnerDebug, StopsBeforeABreakpointEachTimeAndAtOnceWhenItStartsThere) {
    program({"addi a0, zero, 0", "addi a0, a0, 1", "addi a2, zero, 1000", "bne a0, a2, " + at(kLoop)});
    EXPECT_EQ(vcpu->run(500), ExitReason::kBudget) << "blocks are cached before there is a breakpoint";
    hart.pc = kCode;
    debug({kLoop});
    stops(ExitReason::kBreakpoint, kLoop, 1);
    stops(ExitReason::kBreakpoint, kLoop, 0);
    EXPECT_EQ(reg(reg::kA0), 0u);
    for (uint64_t round = 1; round < 5; round++) {
        EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
        EXPECT_EQ(hart.pc, kLoop + 4);
        EXPECT_EQ(reg(reg::kA0), round);
        stops(ExitReason::kBreakpoint, kLoop, 2);
    }
    debug({});
    EXPECT_EQ(run(), (Trap{cause::kBreakpoint, kCode + 16, kCode + 16}));
    EXPECT_EQ(reg(reg::kA0), 1000u);
}

TEST_F(RunnerDebug, KeepsTheBudgetExactBesideBreakpoints) {
    program({"addi a0, zero, 0", "addi a0, a0, 1", "addi a0, a0, 1", "jal zero, " + at(kLoop)});
    debug({kCode + 0x40});  // in the page, never reached
    for (uint64_t budget : {1, 2, 63, 64, 65, 1000}) {
        uint64_t before = hart.retired;
        EXPECT_EQ(vcpu->run(budget), ExitReason::kBudget);
        EXPECT_EQ(hart.retired - before, budget);
    }
    debug({kLoop});
    stops(ExitReason::kBudget, hart.pc, 0, 0);
}

TEST_F(RunnerDebug, StopsAtABreakpointThatABranchFromAnotherPageReaches) {
    uint64_t far = kCode + 0x2000;
    put(far, {"addi a0, a0, 1", "jal zero, " + at(kLoop)});  // back to kLoop
    program({"addi a0, zero, 0", "jal zero, " + at(far)});
    EXPECT_EQ(vcpu->run(3000), ExitReason::kBudget);
    debug({far});
    vcpu->run(kPlenty);
    EXPECT_EQ(hart.pc, far);
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(vcpu->run(kPlenty), ExitReason::kBreakpoint);
    EXPECT_EQ(hart.pc, far);
}

TEST_F(RunnerDebug, StepsOneInstructionWhateverItIs) {
    program({"addi a0, zero, 7", "sd a0, 0(a1)", "beq a0, a0, " + at(kCode + 16), "addi zero, zero, 0", "wfi",
             "csrrw zero, cycle, zero"});
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(word(kData), 7u);
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(hart.pc, kCode + 16);
    EXPECT_EQ(vcpu->step(), ExitReason::kWait);
    EXPECT_EQ(hart.pc, kCode + 20);
    uint64_t before = hart.retired;
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget) << "an exception is a step";
    EXPECT_EQ(hart.pc, kHandler);
    EXPECT_EQ(hart.retired, before);
    EXPECT_EQ(hart.csr.mcause, cause::kIllegalInstruction);
}

TEST_F(RunnerDebug, StepsOntoTheFirmwareCallThatTheHostAnswers) {
    program({"ecall"});
    hart.host_firmware = true;
    hart.privilege = Privilege::kSupervisor;
    hart.csr.pmpaddr[0] = ~uint64_t{0} >> 10;
    hart.csr.pmpcfg[0] = 0x1f;
    hart.translation_version++;
    EXPECT_EQ(vcpu->step(), ExitReason::kFirmwareCall);
    EXPECT_EQ(hart.pc, kCode);
}

TEST_F(RunnerDebug, TakesNoInterruptInAStepAndTheInterruptAfterwards) {
    program({"addi zero, zero, 0", "addi zero, zero, 0", "addi zero, zero, 0"});
    hart.csr.mie = irq::bit(irq::kMachineSoftware);
    hart.csr.mstatus |= isa::riscv::mstatus::kMie;
    hart.lines.fetch_or(irq::bit(irq::kMachineSoftware));
    vcpu->notify();
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(hart.pc, kCode + 4);
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(hart.pc, kCode + 8);
    EXPECT_EQ(vcpu->run(1), ExitReason::kBudget);
    EXPECT_EQ(hart.csr.mcause, cause::kInterrupt | irq::kMachineSoftware);
    EXPECT_EQ(hart.csr.mepc, kCode + 8);
}

TEST_F(RunnerDebug, StepsThoughAnExitWasAskedForAndServesFences) {
    program({"addi a0, zero, 1", "addi a0, zero, 2"});
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    put(kCode + 4, {"addi a0, zero, 3"});
    vcpu->request_instruction_fence();
    vcpu->request_exit();
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(reg(reg::kA0), 3u);
    EXPECT_TRUE(vcpu->fences_done());
}

TEST_F(RunnerDebug, StopsBehindAWatchedWriteInTheMiddleOfABlock) {
    program({"addi a0, zero, 5", "sd a0, 8(a1)", "sd a0, 0(a1)", "addi a0, zero, 6", "sd a0, 16(a1)"});
    EXPECT_EQ(run().cause, cause::kBreakpoint) << "the TLB knows the page before it is watched";
    hart.pc = kCode;
    store<uint64_t>(kData, 0);
    debug({}, {{kData + 2, kData + 3, false, true}});
    stops(ExitReason::kWatchpoint, kCode + 12, 3);
    EXPECT_EQ(vcpu->watch_hit().address, kData + 2);
    EXPECT_EQ(word(kData), 5u) << "the write is done";
    EXPECT_EQ(reg(reg::kA0), 5u) << "and nothing behind it";
    EXPECT_EQ(run().cause, cause::kBreakpoint) << "no further hit";
}

TEST_F(RunnerDebug, TellsReadsFromWritesAndCatchesAtomicsPageCrossingsAndZeroedBlocks) {
    struct {
        const char* line;
        bool reads, writes;
    } cases[] = {
        {"lbu a0, 0(a1)", true, false},    {"sb a0, 0(a1)", false, true},         {"ld a0, -4(a1)", true, false},
        {"sd a0, -4(a1)", false, true},    {"amoadd.w a0, a0, (a1)", true, true}, {"lr.d a0, (a1)", true, false},
        {"sc.d a0, a0, (a1)", true, true}, {"cbo.zero (a1)", false, true},        {"fld fa0, 0(a1)", true, false},
        {"ld a0, 8(a1)", false, false},    {"sd a0, -8(a1)", false, false}};
    for (const auto& one : cases) {
        for (bool writes : {false, true}) {
            SCOPED_TRACE(testing::Message() << one.line << (writes ? " writes" : " reads"));
            program({"addi zero, zero, 0", one.line, "addi zero, zero, 0"});
            reg(reg::kA1) = kData;
            debug({}, {{kData, kData, !writes, writes}});
            bool expected = writes ? one.writes : one.reads;
            EXPECT_EQ(vcpu->run(3), expected ? ExitReason::kWatchpoint : ExitReason::kBudget);
            EXPECT_EQ(hart.pc, kCode + (expected ? 8 : 12));
            hart.pc = kCode + 4;
            EXPECT_EQ(vcpu->step(), expected ? ExitReason::kWatchpoint : ExitReason::kBudget);
            if (expected) {
                EXPECT_EQ(vcpu->watch_hit().address, kData);
            }
        }
    }
}

TEST_F(RunnerDebug, WatchesDevices) {
    program({"addi a0, zero, 9", "sw a0, 4(a1)", "addi zero, zero, 0"});
    reg(reg::kA1) = kDevice;
    debug({}, {{kDevice + 4, kDevice + 4, true, true}});
    stops(ExitReason::kWatchpoint, kCode + 8, 2);
    EXPECT_EQ(device.accesses.size(), 1u) << "once";
}

TEST_F(RunnerDebug, IgnoresAWatchedAccessThatFaults) {
    program({"addi a0, zero, 9", "sd a0, 0(a1)", "addi zero, zero, 0"});
    reg(reg::kA1) = kNowhere;
    debug({}, {{kNowhere, kNowhere + 7, true, true}});
    EXPECT_EQ(run(), (Trap{cause::kStoreAccess, kCode + 4, kNowhere}));
}

TEST_F(RunnerDebug, KeepsTheBudgetExactBesideWatchpoints) {
    program({"ld a0, 16(a1)", "addi a0, a0, 1", "sd a0, 16(a1)", "jal zero, " + at(kCode)});
    store<uint64_t>(kData + 16, 0);
    debug({}, {{kData, kData + 7, true, true}});
    uint64_t start = hart.retired;
    for (uint64_t budget : {1, 2, 63, 64, 65, 4000}) {
        uint64_t before = hart.retired;
        EXPECT_EQ(vcpu->run(budget), ExitReason::kBudget);
        EXPECT_EQ(hart.retired - before, budget);
    }
    EXPECT_EQ(word(kData + 16), (hart.retired - start + 1) / 4);
}

TEST_F(RunnerDebug, ForgetsPointsThatAreTakenAway) {
    program({"sd a0, 0(a1)", "addi zero, zero, 0"});
    debug({kCode + 4}, {{kData, kData, true, true}});
    stops(ExitReason::kWatchpoint, kCode + 4, 1);
    stops(ExitReason::kBreakpoint, kCode + 4, 0);
    vcpu->set_debug_points(nullptr);
    hart.pc = kCode;
    EXPECT_EQ(run().cause, cause::kBreakpoint);
}

}  // namespace
}  // namespace doppel::cpu::interpret
