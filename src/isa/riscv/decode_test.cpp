#include "isa/riscv/decode.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace doppel::isa::riscv {
namespace {

bool reserved(const InstructionInfo& line) {
    return line.operands == &formats::CIllegal;
}

template <class Check>
void for_each_line(Check check) {
    for (size_t i = 0; i + 1 < kInstructionCount; i++)
        check(static_cast<InstructionId>(i), info(static_cast<InstructionId>(i)));
}

TEST(DecodeTable, HasTheExtensionsOfTheHart) {
    std::set<std::string_view> extensions;
    for_each_line([&](InstructionId, const InstructionInfo& line) { extensions.insert(line.extension); });
    EXPECT_EQ(extensions,
              (std::set<std::string_view>{"I",        "M",           "A",    "F",    "D",    "C",      "Zicsr",
                                          "Zifencei", "Zihintpause", "Zba",  "Zbb",  "Zbs",  "Zicond", "Zicbom",
                                          "Zicboz",   "Svinval",     "Zbc",  "Zbkb", "Zbkx", "Zkne",   "Zknd",
                                          "Zknh",     "Zksed",       "Zksh", "V"}));
}

TEST(DecodeTable, NamesEachInstructionOnce) {
    std::set<std::string_view> names;
    for_each_line(
        [&](InstructionId, const InstructionInfo& line) { EXPECT_TRUE(names.insert(line.name).second) << line.name; });
}

TEST(DecodeTable, HasPatternsOfTheLengthThatTheirBitsAnnounce) {
    for_each_line([](InstructionId, const InstructionInfo& line) {
        EXPECT_EQ(length_of(line.match), line.length) << line.name;
        EXPECT_EQ(line.match & ~line.mask, 0u) << line.name;
        EXPECT_LE(line.mask, line.length == 2 ? 0xffffu : ~0u) << line.name;
    });
}

TEST(Decode, FindsEachLineByItsOwnPattern) {
    for_each_line([](InstructionId id, const InstructionInfo& line) {
        if (reserved(line)) return;
        // Operand bits that are no special case of another line: all ones, or all zeroes where ones are one.
        uint32_t ones = line.match | (~line.mask & (line.length == 2 ? 0xffffu : ~0u));
        EXPECT_TRUE(decode(ones).id == id || decode(line.match).id == id) << line.name;
        EXPECT_EQ(decode(ones).length, line.length);
    });
}

// The index by opcode must find what a search of the table in order finds.
TEST(Decode, EqualsASearchInTableOrder) {
    auto search = [](uint32_t insn) {
        auto found = InstructionId::k_illegal;
        uint32_t bits = length_of(insn) == 2 ? insn & 0xffff : insn;
        for (size_t i = 0; i + 1 < kInstructionCount; i++) {
            const InstructionInfo& line = info(static_cast<InstructionId>(i));
            if (line.length != length_of(insn) || (bits & line.mask) != line.match) continue;
            if (!reserved(line)) found = static_cast<InstructionId>(i);
            break;
        }
        return found;
    };
    for (uint32_t insn = 0; insn < 0x10000; insn++) {
        if (length_of(insn) == 4) continue;
        ASSERT_EQ(decode(insn).id, search(insn)) << std::hex << insn;
    }
    uint64_t state = 1;
    for (int i = 0; i < 200'000; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        uint32_t insn = static_cast<uint32_t>(state >> 32) | 3;
        // Half of them near a line of the table.
        if (i % 2 == 0) {
            const InstructionInfo& line = info(static_cast<InstructionId>(state % (kInstructionCount - 1)));
            if (line.length == 4) insn = (insn & ~line.mask) | line.match;
        }
        ASSERT_EQ(decode(insn).id, search(insn)) << std::hex << insn;
    }
}

TEST(Decode, IgnoresTheUpperHalfOfShortInstructions) {
    Decoded one = decode(0x852e), other = decode(0xffff852e);
    EXPECT_EQ(one.id, InstructionId::k_c_mv);
    EXPECT_EQ(other.id, one.id);
    EXPECT_EQ(other.length, 2);
    EXPECT_EQ(other.operands.rd, one.operands.rd);
    EXPECT_EQ(other.operands.rs2, one.operands.rs2);
}

TEST(Decode, RefusesReservedEncodings) {
    for (uint32_t insn :
         {0x0000u, 0x0004u, 0x8000u, 0x2001u, 0x6081u, 0x6101u, 0x9c41u, 0x9c61u, 0x4002u, 0x6002u, 0x8002u}) {
        EXPECT_EQ(decode(insn).id, InstructionId::k_illegal) << std::hex << insn;
        EXPECT_EQ(decode(insn).length, 2) << std::hex << insn;
    }
    for (uint32_t insn : {0xffffffffu, 0x0000001fu, 0x0000003fu, 0x0000007fu, 0x00007003u, 0x00004023u, 0x00002063u,
                          0x00001067u, 0x0000303bu, 0x04001013u, 0x02001013u | 1u << 28, 0x0000201bu, 0x0200101bu,
                          0x00000073u | 1u << 7, 0x30200073u | 1u << 15, 0x1010202fu, 0x00001007u, 0x04000053u}) {
        EXPECT_EQ(decode(insn).id, InstructionId::k_illegal) << std::hex << insn;
        EXPECT_EQ(decode(insn).length, 4) << std::hex << insn;
    }
}

// Round numbers above 10, and neighbours of the cryptography instructions.
TEST(Decode, RefusesWhatCryptographyLeavesOut) {
    for (uint32_t insn : {0x31b01013u, 0x31c01013u, 0x31f01013u, 0x30101013u, 0x10a01013u, 0x68605013u, 0x3ac01033u}) {
        EXPECT_EQ(decode(insn).id, InstructionId::k_illegal) << std::hex << insn;
        EXPECT_EQ(decode(insn).length, 4) << std::hex << insn;
    }
}

// Immediates with each sign and their extreme bits, against the manual's tables of immediate formats.
TEST(Decode, PutsImmediatesTogether) {
    auto immediate = [](uint32_t insn) { return decode(insn).operands.imm; };
    EXPECT_EQ(immediate(0x80000013), -2048) << "I";
    EXPECT_EQ(immediate(0x7ff00013), 2047);
    EXPECT_EQ(immediate(0x80000023), -2048) << "S";
    EXPECT_EQ(immediate(0x7e000fa3), 2047);
    EXPECT_EQ(immediate(0x80000063), -4096) << "B";
    EXPECT_EQ(immediate(0x000000e3), 2048);
    EXPECT_EQ(immediate(0x7e000f63), 2046);
    EXPECT_EQ(immediate(0x8000006f), -1048576) << "J";
    EXPECT_EQ(immediate(0x0010006f), 2048);
    EXPECT_EQ(immediate(0x000ff06f), 0xff000);
    EXPECT_EQ(immediate(0x7fe0006f), 2046);
    EXPECT_EQ(immediate(0x80000037), INT32_MIN) << "U";
    EXPECT_EQ(immediate(0x03f01013), 63) << "shift";
    EXPECT_EQ(immediate(0x0ff0000f), 0xff) << "fence";

    EXPECT_EQ(immediate(0x1ffc), 1020) << "c.addi4spn";
    EXPECT_EQ(immediate(0x0020 | 0x0000), 8);
    EXPECT_EQ(immediate(0x5c7c), 124) << "c.lw";
    EXPECT_EQ(immediate(0x7c7c), 248) << "c.ld";
    EXPECT_EQ(immediate(0x1101), -32) << "c.addi";
    EXPECT_EQ(immediate(0x7101), -512) << "c.addi16sp";
    EXPECT_EQ(immediate(0x617d), 496);
    EXPECT_EQ(immediate(0x7501), -131072) << "c.lui";
    EXPECT_EQ(immediate(0xb001), -2048) << "c.j";
    EXPECT_EQ(immediate(0xaffd), 2046);
    EXPECT_EQ(immediate(0xd001), -256) << "c.beqz";
    EXPECT_EQ(immediate(0xcc7d), 254);
    EXPECT_EQ(immediate(0x50fe), 252) << "c.lwsp";
    EXPECT_EQ(immediate(0x70fe), 504) << "c.ldsp";
    EXPECT_EQ(immediate(0xdffe), 252) << "c.swsp";
    EXPECT_EQ(immediate(0xfffe), 504) << "c.sdsp";
}

TEST(Decode, FillsInWhatCompressedInstructionsImply) {
    auto expect = [](uint32_t insn, Operands wanted) {
        Operands got = decode(insn).operands;
        EXPECT_EQ(got.imm, wanted.imm) << std::hex << insn;
        EXPECT_EQ(got.rd, wanted.rd) << std::hex << insn;
        EXPECT_EQ(got.rs1, wanted.rs1) << std::hex << insn;
        EXPECT_EQ(got.rs2, wanted.rs2) << std::hex << insn;
    };
    expect(0x0048, {4, 10, 2, 0});    // c.addi4spn a0, sp, 4
    expect(0x4188, {0, 10, 11, 0});   // c.lw a0, 0(a1)
    expect(0xe188, {0, 0, 11, 10});   // c.sd a0, 0(a1)
    expect(0x0505, {1, 10, 10, 0});   // c.addi a0, 1
    expect(0x4505, {1, 10, 0, 0});    // c.li a0, 1
    expect(0x8d0d, {0, 10, 10, 11});  // c.sub a0, a1
    expect(0xc119, {6, 0, 10, 0});    // c.beqz a0, 6
    expect(0x4502, {0, 10, 2, 0});    // c.lwsp a0, 0(sp)
    expect(0x8502, {0, 0, 10, 0});    // c.jr a0
    expect(0x9502, {0, 1, 10, 0});    // c.jalr a0
    expect(0x852e, {0, 10, 0, 11});   // c.mv a0, a1
    expect(0x952e, {0, 10, 10, 11});  // c.add a0, a1
    expect(0xe02a, {0, 0, 2, 10});    // c.sdsp a0, 0(sp)
}

TEST(Decode, KeepsRoundingModeAndThirdSourceApart) {
    Operands o = decode(0xf8c5f543).operands;  // fmadd.s fa0, fa1, fa2, ft11 (31)
    EXPECT_EQ(o.rs3(), 31);
    EXPECT_EQ(o.rm(), 7);
    EXPECT_EQ(decode(0x00c58553).operands.rm(), 0);
    EXPECT_EQ(decode(0x00c5b553).operands.rm(), 3);
}

}  // namespace
}  // namespace doppel::isa::riscv
