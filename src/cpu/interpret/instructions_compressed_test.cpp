#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kCode = ProgramMachine::kCode;
constexpr uint64_t kData = ProgramMachine::kData;

TEST(CompressedInstructions, ComputeInPlace) {
    struct Case {
        const char* line;
        uint64_t before, other, after;
    };
    ProgramMachine m;
    for (const Case& one : {Case{"c.addi a0, -32", 0, 0, 0 - uint64_t{32}},
                            {"c.addiw a0, 31", 0x7fffffff, 0, 0xffffffff8000001e},
                            {"c.addiw a0, 0", 0x80000000, 0, 0xffffffff80000000},
                            {"c.li a0, -1", 5, 0, ~uint64_t{0}},
                            {"c.lui a0, 0x1f", 5, 0, 0x1f000},
                            {"c.lui a0, 0xfffe0", 5, 0, 0xfffffffffffe0000},
                            {"c.slli a0, 63", 1, 0, uint64_t{1} << 63},
                            {"c.srli a0, 32", ~uint64_t{0}, 0, 0xffffffff},
                            {"c.srai a0, 63", uint64_t{1} << 63, 0, ~uint64_t{0}},
                            {"c.andi a0, -16", 0xff, 0, 0xf0},
                            {"c.sub a0, a1", 1, 2, ~uint64_t{0}},
                            {"c.xor a0, a1", 0xff, 0x0f, 0xf0},
                            {"c.or a0, a1", 0xf0, 0x0f, 0xff},
                            {"c.and a0, a1", 0xff, 0x0f, 0x0f},
                            {"c.subw a0, a1", 0x180000000, 1, 0x7fffffff},
                            {"c.addw a0, a1", 0x7fffffff, 1, 0xffffffff80000000},
                            {"c.mv a0, a1", 1, 9, 9},
                            {"c.add a0, a1", 1, 9, 10}}) {
        m.x("a0") = one.before, m.x("a1") = one.other;
        m.execute({one.line});
        EXPECT_EQ(m.x("a0"), one.after) << one.line;
        EXPECT_EQ(m.end, kCode + 2);
    }
}

TEST(CompressedInstructions, ReachMemoryBySpAndByRegister) {
    ProgramMachine m;
    m.x("sp") = kData, m.x("a0") = kData + 0x200, m.x("a1") = 0x1122334455667788;
    m.f("fa1") = 0x99aabbccddeeff00;
    m.execute({"c.sdsp a1, 504(sp)", "c.swsp a1, 252(sp)", "c.fsdsp fa1, 256(sp)", "c.sd a1, 248(a0)",
               "c.sw a1, 124(a0)", "c.fsd fa1, 64(a0)", "c.ldsp a2, 504(sp)", "c.lwsp a3, 252(sp)",
               "c.fldsp ft0, 256(sp)", "c.ld a4, 248(a0)", "c.lw a5, 124(a0)", "c.fld fs0, 64(a0)"});
    EXPECT_EQ(m.load<uint64_t>(kData + 504), 0x1122334455667788u);
    EXPECT_EQ(m.load<uint64_t>(kData + 252), 0xddeeff0055667788u);
    EXPECT_EQ(m.x("a2"), 0x1122334455667788u);
    EXPECT_EQ(m.x("a3"), 0x55667788u);
    EXPECT_EQ(m.f("ft0"), 0x99aabbccddeeff00u);
    EXPECT_EQ(m.load<uint64_t>(kData + 0x200 + 248), 0x1122334455667788u);
    EXPECT_EQ(m.x("a4"), 0x1122334455667788u);
    EXPECT_EQ(m.x("a5"), 0x55667788u);
    EXPECT_EQ(m.f("fs0"), 0x99aabbccddeeff00u);
}

TEST(CompressedInstructions, MoveTheStackPointer) {
    ProgramMachine m;
    m.x("sp") = kData;
    m.execute({"c.addi16sp sp, -512", "c.addi4spn a0, sp, 1020", "c.addi16sp sp, 496"});
    EXPECT_EQ(m.x("sp"), kData - 16);
    EXPECT_EQ(m.x("a0"), kData - 512 + 1020);
}

TEST(CompressedInstructions, JumpAndBranch) {
    ProgramMachine m;
    auto at = [](uint64_t offset) { return std::to_string(kCode + offset); };
    m.execute({"c.j " + at(4), "c.ebreak", "c.beqz a0, " + at(8), "c.ebreak", "c.bnez a0, " + at(4), "c.li a0, 1",
               "c.bnez a0, " + at(16), "c.ebreak", "c.beqz a0, " + at(4), "auipc t0, 0x0", "c.addi t0, 10", "c.jr t0",
               "c.ebreak", "c.nop"});
    EXPECT_EQ(m.x("a0"), 1u);
}

TEST(CompressedInstructions, AreIllegalWhereReserved) {
    ProgramMachine m;
    // Unprivileged manual, "RVC Instruction Set Listings": the reserved (RES) encodings, and those of extensions that
    // harts lack.
    for (uint32_t bits : {0x0000u,   // the defined illegal instruction
                          0x0004u,   // c.addi4spn with immediate 0
                          0x8000u,   // quadrant 0, funct3 100
                          0x2001u,   // c.addiw to x0
                          0x2005u,   // c.addiw to x0, immediate 1
                          0x6081u,   // c.lui a0 (ra), immediate 0
                          0x6101u,   // c.addi16sp, immediate 0
                          0x9c41u,   // quadrant 1, misc-alu with bit 12, funct2 10
                          0x9c61u,   // the same, funct2 11
                          0x4002u,   // c.lwsp to x0
                          0x6002u,   // c.ldsp to x0
                          0x8002u})  // c.jr x0
    {
        EXPECT_EQ(m.run_bits(bits), ProgramMachine::illegal(kCode, bits)) << std::hex << bits;
        EXPECT_EQ(m.run_bits(bits, kCode + 0xffe), ProgramMachine::illegal(kCode + 0xffe, bits)) << std::hex << bits;
    }
}

TEST(CompressedInstructions, DoNothingWhereTheyAreHints) {
    ProgramMachine m;
    m.execute({"c.nop", "c.addi zero, 5", "c.li zero, 1", "c.lui zero, 0x1", "c.mv zero, a0", "c.add zero, a0",
               "c.slli zero, 1", "c.slli a0, 0", "c.srli a0, 0", "c.addi a0, 0"});
    EXPECT_EQ(m.x("zero"), 0u);
    EXPECT_EQ(m.x("a0"), 0u);
    EXPECT_EQ(m.hart.retired, 10u + 1);
}

}  // namespace
}  // namespace doppel::cpu::interpret
