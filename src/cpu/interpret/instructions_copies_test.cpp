// A value that several registers hold is still the same when some of them change.
#include <gtest/gtest.h>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kStack = 0x29e1998b9;

// s0 and a1 are registers that translated code keeps in the host's, ra and t3 to t6 are not. The loads may trap, so all
// registers are written at each.
struct Copies : testing::Test, ProgramMachine {
    Copies() { x("sp") = kStack, x("s0") = 0x5555, x("a4") = 7, x("a5") = kData; }
};

TEST_F(Copies, StayInOneRegisterWhenTheOthersChange) {
    execute({"addi s0, sp, -256", "addi a1, s0, 0", "addi ra, a1, 0", "ld s1, 0(a5)", "addi a1, zero, 4",
             "ld s1, 0(a5)", "addi ra, a4, 0", "srlw a6, s0, a1"});
    EXPECT_EQ(x("a6"), static_cast<uint32_t>(kStack - 256) >> 4);
    EXPECT_EQ(x("s0"), kStack - 256);
    EXPECT_EQ(x("ra"), 7u);
}

TEST_F(Copies, StayWhenTheOneThatWasReadLastIsNeededForOthers) {
    execute({"addi s0, sp, -256", "addi a1, s0, 0", "addi ra, a1, 0", "ld s1, 0(a5)", "addi a1, zero, 4",
             "ld s1, 0(a5)", "xor t3, s0, a4", "addi ra, a4, 0", "add t4, t3, a4", "add t5, t4, t3", "xor t6, t5, t4",
             "mul t1, t6, t5", "add t2, t1, t3", "sub s2, t2, t4", "srlw a6, s0, a1", "xor s3, s2, t5"});
    EXPECT_EQ(x("a6"), static_cast<uint32_t>(kStack - 256) >> 4);
    EXPECT_EQ(x("t3"), (kStack - 256) ^ 7);
}

TEST_F(Copies, OfFloatsStayToo) {
    f("fa0") = 0x4000'0000'0000'0000, f("fa1") = 0x3ff0'0000'0000'0000, f("fa5") = 0x1234;
    execute({"fadd.d fa2, fa0, fa1", "fsgnj.d fa3, fa2, fa2", "fsgnj.d ft8, fa3, fa3", "ld s1, 0(a5)",
             "fadd.d fa3, fa0, fa0", "ld s1, 0(a5)", "fsgnj.d ft8, fa5, fa5", "fmul.d fa4, fa2, fa0"});
    EXPECT_EQ(f("fa4"), 0x4018'0000'0000'0000u);
    EXPECT_EQ(f("fa2"), 0x4008'0000'0000'0000u);
    EXPECT_EQ(f("ft8"), 0x1234u);
}

}  // namespace
}  // namespace doppel::cpu::interpret
