// Address spaces that share a kernel: global mappings are kept once, and no other mapping is found where it does not
// hold.
#include <gtest/gtest.h>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
namespace mstatus = isa::riscv::mstatus;
namespace pte = isa::riscv::pte;

// A supervisor whose code and data are global, in two address spaces with different pages at kVa and kFunction.
struct RunnerSpaces : testing::Test, TestBoard {
    static constexpr uint64_t kVa = 0x20'4000'0000, kFunction = kVa + 0x10'0000, kOther = kPage + 0x40'0000;
    static constexpr uint64_t kGlobal = pte::kAll | pte::kG;

    void SetUp() override {
        for (isa::riscv::TestPageTables* each : {&first, &second}) {
            each->map(kCode, kCode, kGlobal);
            each->map(kData, kData, kGlobal);
        }
        hart.privilege = Privilege::kSupervisor;
        hart.csr.satp = first.satp(1);
        reg(reg::kA1) = kVa, reg(reg::kA2) = kData;
        reg(reg::kA3) = second.satp(2), reg(reg::kA4) = hart.csr.satp;
        store<uint64_t>(kPage, 1), store<uint64_t>(kOther, 2);
    }
    void map_apart(uint64_t flags) { first.map(kVa, kPage, flags), second.map(kVa, kOther, flags); }
    // Runs to a WFI at the program's end.
    void run(const std::vector<std::string>& program) {
        end = put(kCode, program);
        put(end, {"wfi"});
        vcpu->request_instruction_fence();
        hart.pc = kCode;
        EXPECT_EQ(vcpu->run(1'000'000), ExitReason::kWait);
        EXPECT_EQ(hart.pc, end + 4) << "trapped";
    }
    uint64_t fills() const {
        Statistics statistics;
        vcpu->add_statistics(statistics);
        return statistics.count("data_tlb_fills");
    }

    isa::riscv::TestPageTables first{memory, kTables}, second{memory, kTables + 0x10'0000};
};

TEST_F(RunnerSpaces, KeepGlobalPagesOnce) {
    run({"ld a0, 0(a2)", "csrrw zero, satp, a3", "ld a0, 0(a2)", "csrrw zero, satp, a4", "ld a0, 0(a2)"});
    EXPECT_EQ(fills(), 1u);
}

TEST_F(RunnerSpaces, DoNotShareSupervisorPagesThatAreNotGlobal) {
    map_apart(pte::kAll);
    const std::vector<std::string> program{"ld a0, 0(a1)", "csrrw zero, satp, a3", "ld a5, 0(a1)",
                                           "csrrw zero, satp, a4", "ld a6, 0(a1)"};
    for (int round = 0; round < 3; round++) {
        run(program);
        EXPECT_EQ(reg(reg::kA0), 1u);
        EXPECT_EQ(reg(reg::kA5), 2u);
        EXPECT_EQ(x("a6"), 1u);
    }
}

TEST_F(RunnerSpaces, DoNotShareUserPagesThatASupervisorReaches) {
    map_apart(pte::kAll | pte::kU);
    hart.csr.mstatus |= mstatus::kSum;
    run({"ld a0, 0(a2)", "ld a0, 0(a1)", "csrrw zero, satp, a3", "ld a5, 0(a1)", "csrrw zero, satp, a4",
         "ld a6, 0(a1)"});
    EXPECT_EQ(reg(reg::kA0), 1u);
    EXPECT_EQ(reg(reg::kA5), 2u);
    EXPECT_EQ(x("a6"), 1u);
}

TEST_F(RunnerSpaces, DoNotShareSupervisorCodeThatIsNotGlobal) {
    first.map(kFunction, kPage, pte::kAll), second.map(kFunction, kOther, pte::kAll);
    put(kPage, {"addi a0, zero, 1", "jalr zero, 0(ra)"});
    put(kOther, {"addi a0, zero, 2", "jalr zero, 0(ra)"});
    reg(reg::kA1) = kFunction;
    const std::vector<std::string> program{"jalr ra, 0(a1)", "addi a5, a0, 0", "csrrw zero, satp, a3",
                                           "jalr ra, 0(a1)", "addi a6, a0, 0", "csrrw zero, satp, a4",
                                           "jalr ra, 0(a1)", "addi a7, a0, 0"};
    for (int round = 0; round < 50; round++) {
        run(program);
        ASSERT_EQ(x("a5"), 1u) << round;
        ASSERT_EQ(x("a6"), 2u) << round;
        ASSERT_EQ(x("a7"), 1u) << round;
    }
}

// The same first half, followed by another page in each address space.
TEST_F(RunnerSpaces, DoNotShareAnInstructionThatEndsInDifferentPages) {
    for (isa::riscv::TestPageTables* each : {&first, &second}) each->map(kFunction, kPage, pte::kAll);
    first.map(kFunction + kPageBytes, kPage + kPageBytes, pte::kAll);
    second.map(kFunction + kPageBytes, kOther, pte::kAll);
    put(kPage + kPageBytes - 2, {"addi a0, a0, 1", "jalr zero, 0(ra)"});
    put(kOther - 2, {"addi a0, a0, 100", "jalr zero, 0(ra)"});
    reg(reg::kA1) = kFunction + kPageBytes - 2;
    for (int round = 0; round < 50; round++) {
        reg(reg::kA0) = 0;
        run({"jalr ra, 0(a1)", "csrrw zero, satp, a3", "jalr ra, 0(a1)", "jalr ra, 0(a1)", "csrrw zero, satp, a4",
             "jalr ra, 0(a1)"});
        ASSERT_EQ(reg(reg::kA0), 202u) << round;
    }
}

TEST_F(RunnerSpaces, SeeAGlobalPageThatIsMappedElsewhereAfterTheFence) {
    for (isa::riscv::TestPageTables* each : {&first, &second}) each->map(kVa, kPage, kGlobal);
    for (const char* fence : {"sfence.vma a1, zero", "sfence.vma zero, zero"}) {
        run({"ld a0, 0(a1)", "csrrw zero, satp, a3", "ld a5, 0(a1)", "csrrw zero, satp, a4"});
        EXPECT_EQ(reg(reg::kA0), reg(reg::kA5));
        uint64_t next = reg(reg::kA0) == 1 ? kOther : kPage;
        for (isa::riscv::TestPageTables* each : {&first, &second}) each->map(kVa, next, kGlobal);
        run({fence, "ld a0, 0(a1)", "csrrw zero, satp, a3", "ld a5, 0(a1)", "csrrw zero, satp, a4"});
        EXPECT_EQ(reg(reg::kA0), word(next)) << fence;
        EXPECT_EQ(reg(reg::kA5), word(next)) << fence;
    }
}

}  // namespace
}  // namespace doppel::cpu::interpret
