#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kMin = uint64_t{1} << 63, kOnes = ~uint64_t{0};

TEST(BitManipulation, ComputesAddresses) {
    expect_results({
        {"sh1add a0, a1, a2", 3, 100, 106},
        {"sh2add a0, a1, a2", 3, 100, 112},
        {"sh3add a0, a1, a2", kMin | 3, 100, 124},
        {"add.uw a0, a1, a2", kOnes, 1, 0x100000000},
        {"sh1add.uw a0, a1, a2", kOnes, 0, 0x1fffffffe},
        {"sh2add.uw a0, a1, a2", kOnes, 1, 0x3fffffffd},
        {"sh3add.uw a0, a1, a2", 0xf00000001, 1, 9},
        {"slli.uw a0, a1, 63", 3, 0, kMin},
        {"slli.uw a0, a1, 4", kOnes, 0, 0xffffffff0},
    });
}

TEST(BitManipulation, CombinesWithTheComplement) {
    expect_results({
        {"andn a0, a1, a2", 0xff, 0x0f, 0xf0},
        {"orn a0, a1, a2", 0, 0x0f, ~uint64_t{0x0f}},
        {"xnor a0, a1, a2", 0xff, 0xff, kOnes},
    });
}

TEST(BitManipulation, CountsZeroesAndOnes) {
    expect_results({
        {"clz a0, a1", 0, 0, 64},
        {"clz a0, a1", 1, 0, 63},
        {"ctz a0, a1", 0, 0, 64},
        {"ctz a0, a1", kMin, 0, 63},
        {"cpop a0, a1", kOnes, 0, 64},
        {"clzw a0, a1", 0xffffffff00000000, 0, 32},
        {"clzw a0, a1", 0x80000000, 0, 0},
        {"ctzw a0, a1", 0xffffffff00000000, 0, 32},
        {"ctzw a0, a1", 8, 0, 3},
        {"cpopw a0, a1", 0xffff0000ffff, 0, 16},
    });
}

TEST(BitManipulation, ExtendsAndSelects) {
    expect_results({
        {"sext.b a0, a1", 0x180, 0, 0xffffffffffffff80},
        {"sext.h a0, a1", 0x18000, 0, 0xffffffffffff8000},
        {"zext.h a0, a1", kOnes, 0, 0xffff},
        {"min a0, a1, a2", kOnes, 1, kOnes},
        {"minu a0, a1, a2", kOnes, 1, 1},
        {"max a0, a1, a2", kOnes, 1, 1},
        {"maxu a0, a1, a2", kOnes, 1, kOnes},
    });
}

TEST(BitManipulation, Rotates) {
    expect_results({
        {"rol a0, a1, a2", kMin, 1, 1},
        {"rol a0, a1, a2", 0x1234, 64, 0x1234},
        {"ror a0, a1, a2", 1, 1, kMin},
        {"rori a0, a1, 63", kMin, 0, 1},
        {"rori a0, a1, 0", 0x1234, 0, 0x1234},
        {"rolw a0, a1, a2", 0x80000000, 1, 1},
        {"rolw a0, a1, a2", 0x40000000, 33, 0xffffffff80000000},
        {"rorw a0, a1, a2", 1, 1, 0xffffffff80000000},
        {"rorw a0, a1, a2", 0xabc80000000, 32, 0xffffffff80000000},
        {"roriw a0, a1, 31", 0x40000000, 0, 0xffffffff80000000},
    });
}

TEST(BitManipulation, WorksOnBytes) {
    expect_results({
        {"rev8 a0, a1", 0x0102030405060708, 0, 0x0807060504030201},
        {"orc.b a0, a1", 0x0100800000ff0010, 0, 0xff00ff0000ff00ff},
        {"orc.b a0, a1", 0, 0, 0},
    });
}

TEST(BitManipulation, WorksOnSingleBits) {
    expect_results({
        {"bclr a0, a1, a2", kOnes, 63, ~kMin},
        {"bclr a0, a1, a2", kOnes, 64, kOnes - 1},
        {"bset a0, a1, a2", 0, 63, kMin},
        {"binv a0, a1, a2", kMin, 127, 0},
        {"bext a0, a1, a2", kMin, 63, 1},
        {"bext a0, a1, a2", ~kMin, 63, 0},
        {"bclri a0, a1, 0", 3, 0, 2},
        {"bseti a0, a1, 63", 0, 0, kMin},
        {"binvi a0, a1, 5", 0x20, 0, 0},
        {"bexti a0, a1, 62", uint64_t{1} << 62, 0, 1},
    });
}

}  // namespace
}  // namespace doppel::cpu::interpret
