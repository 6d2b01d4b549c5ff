// Calls and returns, by whatever means an engine goes back: what returns goes to where the guest says.
#include <gtest/gtest.h>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

namespace pte = isa::riscv::pte;

struct RunnerReturns : testing::Test, TestBoard {
    static constexpr uint64_t kFunction = kCode + 0x800, kStackEnd = kRamEnd;
    static std::string at(uint64_t address) { return std::to_string(address); }
    // `lines` as often as s1 says, then an ebreak.
    void loop(uint64_t times, std::vector<std::string> lines) {
        x("s1") = times, x("sp") = kStackEnd;
        lines.insert(lines.end(), {"addi s1, s1, -1", "bne s1, zero, " + at(kCode)});
        execute(lines);
    }
};

TEST_F(RunnerReturns, ComeBackFromAsDeepAsTheGuestsStackGoes) {
    constexpr uint64_t kDepth = 50'000;
    put(kFunction, {"addi sp, sp, -16", "sd ra, 0(sp)", "sd a1, 8(sp)", "addi a1, a1, -1",
                    "beq a1, zero, " + at(kFunction + 24), "jal ra, " + at(kFunction), "ld a1, 8(sp)", "ld ra, 0(sp)",
                    "add a0, a0, a1", "addi sp, sp, 16", "jalr zero, 0(ra)"});
    loop(3, {"addi a0, zero, 0", "lui a1, 12", "addi a1, a1, 848", "jal ra, " + at(kFunction)});
    EXPECT_EQ(x("a0"), kDepth * (kDepth + 1) / 2);
    EXPECT_EQ(x("sp"), kStackEnd);
}

TEST_F(RunnerReturns, MayNeverComeFromCallsWithoutEnd) {
    put(kCode, {"addi a0, a0, 1", "jal ra, " + at(kCode)});
    put(kFunction, {"jal ra, " + at(kFunction)});
    for (uint64_t began : {kCode, kFunction}) {
        hart.pc = began;
        EXPECT_EQ(vcpu->run(2'000'000), ExitReason::kBudget);
        EXPECT_EQ(x("ra"), began == kCode ? kCode + 8 : kFunction + 4);
    }
    EXPECT_EQ(x("a0"), 1'000'000u);
}

TEST_F(RunnerReturns, GoWhereTheRegisterSays) {
    // The call's own, the one behind it, and by the other link register.
    put(kFunction, {"jalr zero, 4(ra)"});
    put(kFunction + 0x40, {"jalr zero, 0(t0)"});
    put(kFunction + 0x80, {"jalr ra, 0(ra)"});
    loop(100, {"jal ra, " + at(kFunction), "addi a0, a0, 100", "addi a0, a0, 1", "jal t0, " + at(kFunction + 0x40),
               "addi a0, a0, 1", "jal ra, " + at(kFunction + 0x80), "addi a1, a1, 1"});
    EXPECT_EQ(x("a0"), 200u);
    EXPECT_EQ(x("a1"), 100u);
}

TEST_F(RunnerReturns, MayLeaveManyCallsBehindAtOnce) {
    // Calls itself until a1 is 0, and then goes back to the first caller.
    put(kFunction, {"addi a1, a1, -1", "beq a1, zero, " + at(kFunction + 12), "jal ra, " + at(kFunction),
                    "addi a0, a0, 1", "addi ra, s2, 0", "jalr zero, 0(ra)"});
    put(kFunction + 0x40, {"addi s2, ra, 0", "jal zero, " + at(kFunction)});
    loop(1000, {"addi a1, zero, 40", "jal ra, " + at(kFunction + 0x40), "addi a2, a2, 1"});
    EXPECT_EQ(x("a0"), 1000u);
    EXPECT_EQ(x("a2"), 1000u);
}

TEST_F(RunnerReturns, FindCodeThatWasChangedMeanwhile) {
    constexpr uint64_t kChanged = kCode + 4;
    put(kFunction, {"xor a3, a3, a4", "sw a3, 0(a2)", "fence.i", "jalr zero, 0(ra)"});
    x("a2") = kChanged;
    const uint32_t one = assemble("addi a0, a0, 1"), many = assemble("addi a0, a0, 1000");
    x("a3") = one, x("a4") = one ^ many;
    loop(100, {"jal ra, " + at(kFunction), "addi a0, a0, 1"});
    EXPECT_EQ(x("a0"), 50u * 1001);
}

TEST_F(RunnerReturns, FindThePageThatWasMappedMeanwhile) {
    constexpr uint64_t kVa = 0x20'4000'0000, kOther = kPage + 0x40'0000;
    isa::riscv::TestPageTables tables(memory, kTables);
    const uint64_t slot = tables.slot(kVa);
    for (uint64_t page : {kCode, slot & ~(kPageBytes - 1)}) tables.map(page, page, pte::kAll);
    tables.map(kVa, kPage, pte::kAll);
    for (auto [page, count] : {std::pair(kPage, "addi a0, a0, 1"), std::pair(kOther, "addi a0, a0, 1000")}) {
        put(page, {"addi a6, ra, 0", "jalr ra, 0(a2)", count, "addi ra, a6, 0", "jalr zero, 0(ra)"});
    }
    put(kFunction, {"ld a5, 0(a3)", "xor a5, a5, a4", "sd a5, 0(a3)", "sfence.vma a1, zero", "jalr zero, 0(ra)"});
    const uint64_t end_of_loop = put(kCode, {"jalr ra, 0(a1)", "addi s1, s1, -1", "bne s1, zero, " + at(kCode), "wfi"});
    x("s1") = 200, x("a1") = kVa, x("a2") = kFunction, x("a3") = slot;
    x("a4") = pte::leaf(kPage, pte::kAll) ^ pte::leaf(kOther, pte::kAll);
    hart.privilege = isa::riscv::Privilege::kSupervisor;
    hart.csr.satp = tables.satp();
    vcpu->request_instruction_fence();
    hart.pc = kCode;
    EXPECT_EQ(vcpu->run(1'000'000), ExitReason::kWait);
    EXPECT_EQ(hart.pc, end_of_loop) << "trapped";
    EXPECT_EQ(x("a0"), 100u * 1001);
}

}  // namespace
}  // namespace doppel::cpu::interpret
