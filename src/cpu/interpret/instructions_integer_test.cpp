#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kMin = uint64_t{1} << 63, kMax = kMin - 1, kOnes = ~uint64_t{0};
constexpr uint64_t kMinWord = 0xffffffff80000000;

TEST(IntegerInstructions, AddAndSubtractModuloTheWidth) {
    expect_results({
        {"add a0, a1, a2", kMax, 1, kMin},
        {"sub a0, a1, a2", 0, 1, kOnes},
        {"addi a0, a1, -2048", 0, 0, 0 - uint64_t{2048}},
        {"addi a0, a1, 2047", 1, 0, 2048},
        {"addw a0, a1, a2", 0x7fffffff, 1, kMinWord},
        {"addw a0, a1, a2", 0xdead00000001, 2, 3},
        {"subw a0, a1, a2", 0, 1, kOnes},
        {"addiw a0, a1, 1", 0x17fffffff, 0, kMinWord},
        {"addiw a0, a1, -1", 0x100000000, 0, kOnes},
    });
}

TEST(IntegerInstructions, CompareSignedAndUnsigned) {
    expect_results({
        {"slt a0, a1, a2", kMin, kMax, 1},
        {"slt a0, a1, a2", 5, 5, 0},
        {"sltu a0, a1, a2", kMin, kMax, 0},
        {"sltu a0, a1, a2", 0, kOnes, 1},
        {"slti a0, a1, -1", kMin, 0, 1},
        {"slti a0, a1, -1", 0, 0, 0},
        {"sltiu a0, a1, -1", 7, 0, 1},
        {"sltiu a0, a1, 1", 0, 0, 1},
    });
}

TEST(IntegerInstructions, CombineBits) {
    expect_results({
        {"and a0, a1, a2", 0xff00, 0x0ff0, 0x0f00},
        {"or a0, a1, a2", 0xff00, 0x0ff0, 0xfff0},
        {"xor a0, a1, a2", 0xff00, 0x0ff0, 0xf0f0},
        {"andi a0, a1, -16", kOnes, 0, 0 - uint64_t{16}},
        {"ori a0, a1, -16", 1, 0, 0xfffffffffffffff1},
        {"xori a0, a1, -1", 0x1234, 0, ~uint64_t{0x1234}},
    });
}

TEST(IntegerInstructions, ShiftByTheLowBitsOfTheAmount) {
    expect_results({
        {"sll a0, a1, a2", 1, 63, kMin},
        {"sll a0, a1, a2", 1, 64, 1},
        {"srl a0, a1, a2", kOnes, 63, 1},
        {"sra a0, a1, a2", kMin, 63, kOnes},
        {"sra a0, a1, a2", kMin, 0xc0, kMin},
        {"slli a0, a1, 63", 1, 0, kMin},
        {"srli a0, a1, 63", kMin, 0, 1},
        {"srai a0, a1, 4", kMin, 0, 0xf800000000000000},
        {"sllw a0, a1, a2", 1, 31, kMinWord},
        {"sllw a0, a1, a2", 1, 32, 1},
        {"srlw a0, a1, a2", kOnes, 1, 0x7fffffff},
        {"srlw a0, a1, a2", 0x80000000, 0, kMinWord},
        {"sraw a0, a1, a2", 0x80000000, 31, kOnes},
        {"slliw a0, a1, 31", 3, 0, kMinWord},
        {"srliw a0, a1, 31", 0xff80000000, 0, 1},
        {"sraiw a0, a1, 1", 0x80000000, 0, 0xffffffffc0000000},
    });
}

TEST(IntegerInstructions, BuildUpperImmediates) {
    ProgramMachine m;
    m.execute({"lui a0, 0x80000", "auipc a1, 0x1", "auipc a2, 0xfffff", "lui a3, 0x12345"});
    EXPECT_EQ(m.x("a0"), kMinWord);
    EXPECT_EQ(m.x("a1"), ProgramMachine::kCode + 4 + 0x1000);
    EXPECT_EQ(m.x("a2"), ProgramMachine::kCode + 8 - 0x1000);
    EXPECT_EQ(m.x("a3"), 0x12345000u);
}

TEST(IntegerInstructions, NeverChangeX0) {
    ProgramMachine m;
    m.x("a1") = 7;
    m.execute({"addi zero, a1, 1", "lui zero, 0x1", "jal zero, " + std::to_string(ProgramMachine::kCode + 12),
               "c.li zero, 5", "add a0, zero, zero", "csrrw zero, mscratch, a1", "sltiu zero, a1, 100"});
    EXPECT_EQ(m.x("zero"), 0u);
    EXPECT_EQ(m.x("a0"), 0u);
}

TEST(IntegerInstructions, MultiplyBothHalves) {
    expect_results({
        {"mul a0, a1, a2", kOnes, kOnes, 1},
        {"mul a0, a1, a2", uint64_t{1} << 32, uint64_t{1} << 32, 0},
        {"mulh a0, a1, a2", kOnes, kOnes, 0},
        {"mulh a0, a1, a2", kMin, kMin, uint64_t{1} << 62},
        {"mulhu a0, a1, a2", kOnes, kOnes, kOnes - 1},
        {"mulhsu a0, a1, a2", kOnes, kOnes, kOnes},
        {"mulhsu a0, a1, a2", kMin, 2, kOnes},
        {"mulw a0, a1, a2", 0x10000, 0x8000, kMinWord},
        {"mulw a0, a1, a2", 0xffffffff00000003, 5, 15},
    });
}

// Unprivileged manual, "M", table of division by zero and overflow.
TEST(IntegerInstructions, DivideWithoutTrapping) {
    expect_results({
        {"div a0, a1, a2", 0 - uint64_t{7}, 2, 0 - uint64_t{3}},
        {"rem a0, a1, a2", 0 - uint64_t{7}, 2, kOnes},
        {"rem a0, a1, a2", 7, 0 - uint64_t{2}, 1},
        {"div a0, a1, a2", 42, 0, kOnes},
        {"divu a0, a1, a2", 42, 0, kOnes},
        {"rem a0, a1, a2", 42, 0, 42},
        {"remu a0, a1, a2", 42, 0, 42},
        {"div a0, a1, a2", kMin, kOnes, kMin},
        {"rem a0, a1, a2", kMin, kOnes, 0},
        {"divu a0, a1, a2", kMin, kOnes, 0},
        {"remu a0, a1, a2", kMin, kOnes, kMin},
        {"divw a0, a1, a2", 0x80000000, kOnes, kMinWord},
        {"remw a0, a1, a2", 0x80000000, 0xffffffff, 0},
        {"divw a0, a1, a2", 5, 0x100000000, kOnes},
        {"divuw a0, a1, a2", 5, 0, kOnes},
        {"divuw a0, a1, a2", 0xffffffff, 1, kOnes},
        {"remw a0, a1, a2", 0x80000001, 0, 0xffffffff80000001},
        {"remuw a0, a1, a2", 0x80000001, 0, 0xffffffff80000001},
        {"remuw a0, a1, a2", kOnes, 16, 15},
    });
}

TEST(IntegerInstructions, ZeroConditionally) {
    expect_results({
        {"czero.eqz a0, a1, a2", 5, 0, 0},
        {"czero.eqz a0, a1, a2", 5, kMin, 5},
        {"czero.nez a0, a1, a2", 5, 0, 5},
        {"czero.nez a0, a1, a2", 5, uint64_t{1} << 32, 0},
    });
}

}  // namespace
}  // namespace doppel::cpu::interpret
