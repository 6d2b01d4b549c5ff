#include <gtest/gtest.h>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

struct RunnerStatistics : testing::Test, ProgramMachine {
    uint64_t count(std::string_view name) const {
        Statistics statistics;
        vcpu->add_statistics(statistics);
        return statistics.count(name);
    }
};

TEST_F(RunnerStatistics, CountInstructionsExactly) {
    EXPECT_EQ(count("instructions"), 0u);
    x("a1") = 1000;
    execute({"addi a0, a0, 1", "bltu a0, a1, " + std::to_string(kCode)});
    EXPECT_EQ(x("a0"), 1000u);
    EXPECT_EQ(count("instructions"), 2001u) << "the handler's wfi is one";
    EXPECT_EQ(count("instructions"), hart.retired);
    EXPECT_EQ(count("translated_instructions") + count("interpreted_instructions"), 2001u);
}

TEST_F(RunnerStatistics, CountStepsToo) {
    put(kCode, {"addi a0, a0, 1", "addi a0, a0, 1"});
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_EQ(vcpu->run(1), ExitReason::kBudget);
    EXPECT_EQ(count("instructions"), 2u);
}

TEST_F(RunnerStatistics, CountTrapsAndFences) {
    execute({"fence.i", "sfence.vma zero, zero", "fence.i"});
    EXPECT_EQ(count("exceptions"), 1u);
    EXPECT_EQ(count("interrupts"), 0u);
    EXPECT_EQ(count("translation_fences"), 1u);
    EXPECT_EQ(count("instruction_fences"), 3u) << "one was requested by who put the code there";
}

TEST_F(RunnerStatistics, CountFillsOfTheTlb) {
    x("a1") = kData;
    execute({"ld a0, 0(a1)", "ld a2, 8(a1)", "ld a3, 16(a1)"});
    EXPECT_EQ(count("data_tlb_fills"), 1u);
    execute({"sd a0, 0(a1)", "sd a0, 8(a1)"});
    EXPECT_EQ(count("data_tlb_fills"), 2u) << "writing is looked at apart";
    EXPECT_GE(count("fetch_tlb_fills"), 1u);
}

TEST(Statistics, AreSummedByName) {
    Statistics statistics;
    statistics.add("b", 1);
    statistics.add("a", 2);
    statistics.add("b", 3);
    EXPECT_EQ(statistics.count("b"), 4u);
    EXPECT_EQ(statistics.count("none"), 0u);
    EXPECT_EQ(statistics.counts().front().first, "b");
}

}  // namespace
}  // namespace doppel::cpu::interpret
