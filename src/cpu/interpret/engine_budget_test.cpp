#include <numeric>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kCode = ProgramMachine::kCode;
constexpr uint64_t kData = ProgramMachine::kData;

std::string at(uint64_t address) {
    return std::to_string(address);
}

// Works for ever: arithmetic, memory, floats, atomics, calls, environment calls that a handler skips, and its own
// minstret.
class EndlessMachine : public ProgramMachine {
  public:
    static constexpr uint64_t kSkipping = kRam + 0x2000;

    EndlessMachine() {
        put(kSkipping, {"csrrs t0, mepc, zero", "addi t0, t0, 4", "csrrw zero, mepc, t0", "addi s2, s2, 1", "mret"});
        uint64_t next = put(kCode, {"addi a0, a0, 1", "c.add a1, a0", "sd a1, 0(s0)", "ld a2, 0(s0)", "ecall",
                                    "mul a3, a1, a0", "fcvt.d.l fa0, a3", "fadd.d fa1, fa1, fa0",
                                    "amoadd.d a4, a0, (s0)", "andi a5, a0, 3", "bne a5, zero, " + at(kCode)});
        next = put(next, {"csrrs a6, minstret, zero", "xor a7, a7, a6", "c.slli a7, 1", "sd a7, 8(s0)"});
        put(next, {"jal ra, " + at(kCode)});
        hart.csr.mtvec = kSkipping;
        x("s0") = kData;
    }
    void expect_same_as(EndlessMachine& other) {
        EXPECT_EQ(hart.x, other.hart.x);
        EXPECT_EQ(hart.f, other.hart.f);
        EXPECT_EQ(hart.pc, other.hart.pc);
        EXPECT_EQ(hart.retired, other.hart.retired);
        EXPECT_EQ(hart.csr.mstatus, other.hart.csr.mstatus);
        EXPECT_EQ(load<uint64_t>(kData), other.load<uint64_t>(kData));
        EXPECT_EQ(load<uint64_t>(kData + 8), other.load<uint64_t>(kData + 8));
    }
};

TEST(Budget, IsSpentExactly) {
    for (uint64_t n = 0; n <= 200; n++) {
        EndlessMachine m;
        ASSERT_EQ(m.vcpu->run(n), ExitReason::kBudget);
        ASSERT_EQ(m.hart.retired, n);
        ASSERT_EQ(m.peek(0xb02), n) << "minstret";
        ASSERT_EQ(m.vcpu->run(n), ExitReason::kBudget);
        ASSERT_EQ(m.hart.retired, 2 * n);
    }
}

TEST(Budget, MayBeSplitInAnyWay) {
    constexpr uint64_t kTotal = 20'000;
    EndlessMachine whole;
    whole.vcpu->run(kTotal);
    EXPECT_GT(whole.x("s2"), 500u) << "environment calls";
    for (uint64_t step : {1, 2, 3, 7, 63, 64, 65, 66, 100, 129, 1000, 16383, 16385}) {
        SCOPED_TRACE(step);
        EndlessMachine m;
        for (uint64_t done = 0; done < kTotal; done += step) m.vcpu->run(std::min(step, kTotal - done));
        m.expect_same_as(whole);
    }
}

TEST(Budget, MayBeSplitUnevenly) {
    EndlessMachine whole, m;
    whole.vcpu->run(200 * 201 / 2);
    for (uint64_t n = 1; n <= 200; n++) m.vcpu->run(n);
    m.expect_same_as(whole);
}

TEST(Budget, CountsNoInstructionThatTraps) {
    ProgramMachine m;
    // The handler at mtvec is itself illegal for a while: nothing retires, and the run ends when asked to.
    m.put_bits(kCode, 0xffffffff);
    m.hart.csr.mtvec = kCode;
    m.vcpu->request_exit();
    EXPECT_EQ(m.vcpu->run(1000), ExitReason::kAttention);
    EXPECT_EQ(m.hart.retired, 0u);
}

TEST(Budget, CountsTheWaitThatEndsIt) {
    ProgramMachine m;
    m.put(kCode, {"c.nop", "c.nop", "wfi"});
    EXPECT_EQ(m.vcpu->run(1000), ExitReason::kWait);
    EXPECT_EQ(m.hart.retired, 3u);
    EXPECT_EQ(m.hart.pc, kCode + 8);
}

TEST(Counters, CountFromWhatIsWritten) {
    ProgramMachine m;
    m.x("a1") = 1000;
    m.execute({"csrrw zero, minstret, a1", "csrrs a0, minstret, zero", "c.nop", "csrrs a2, minstret, zero",
               "csrrs a3, mcycle, zero"});
    EXPECT_EQ(m.x("a0"), 1000u) << "the write replaces its own increment";
    EXPECT_EQ(m.x("a2"), 1002u);
    EXPECT_EQ(m.x("a3"), 4u);
}

}  // namespace
}  // namespace doppel::cpu::interpret
