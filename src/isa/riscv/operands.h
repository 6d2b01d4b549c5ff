// Operand formats: which bits of an instruction are which register or immediate, and how assembly writes them.
// Source: RISC-V unprivileged manual, "Base Instruction Formats" and "C Extension, Compressed Instruction Formats".
#pragma once

#include <cstdint>
#include <string_view>

namespace doppel::isa::riscv {

// The operands of one decoded instruction, in the form that definitions and engines use. Register fields that a format
// lacks are 0.
struct Operands {
    int32_t imm = 0;  // immediate, shift amount, CSR number, fence sets; aq/rl for atomics; rm and rs3 for float
    uint8_t rd = 0;   // integer or float register by the instruction
    uint8_t rs1 = 0;  // also the 5-bit immediate of the CSR instructions
    uint8_t rs2 = 0;
    uint8_t position = 0;  // an engine's own: where the instruction stands in its block, in halfwords

    uint8_t rs3() const { return static_cast<uint8_t>(imm & 31); }
    uint8_t rm() const { return static_cast<uint8_t>(imm >> kRoundingShift & 7); }

    static constexpr unsigned kRoundingShift = 8;
};

constexpr uint32_t bits(uint32_t insn, unsigned high, unsigned low) {
    return (insn >> low) & ((2u << (high - low)) - 1);
}

constexpr int32_t sign_extend(uint32_t value, unsigned width) {
    return static_cast<int32_t>(value << (32 - width)) >> (32 - width);
}

// A format: decode() and the assembly operands, where %d %1 %2 %3 are integer registers, %D %S %T %U float registers
// (rd, rs1, rs2, rs3), %i the immediate, %u the immediate as an upper-20 value, %t a pc-relative target, %c a CSR, %z
// the CSR immediate, %p the predecessor and %q the successor set of a fence, %m a rounding mode unless dynamic; %V %W
// %Y vector registers (vd or vs3, vs1, vs2), %M ", v0.t" when masked, %v a vtype, %s the 5-bit immediate of rs1's bits
// with its sign, %N the number of fields, which is written into the mnemonic. Compressed formats fill in the operands
// of the instruction that they stand for and are written as that instruction's short form.
struct OperandFormat {
    Operands (*decode)(uint32_t insn);
    const char* syntax;

    // Whether rd, if there is one, is an integer register.
    bool integer_destination() const {
        std::string_view text(syntax);
        return text.find("%D") == text.npos && text.find("%V") == text.npos;
    }
};

namespace formats {

constexpr uint8_t rd(uint32_t i) {
    return static_cast<uint8_t>(bits(i, 11, 7));
}
constexpr uint8_t rs1(uint32_t i) {
    return static_cast<uint8_t>(bits(i, 19, 15));
}
constexpr uint8_t rs2(uint32_t i) {
    return static_cast<uint8_t>(bits(i, 24, 20));
}
constexpr int32_t rounding(uint32_t i) {
    return static_cast<int32_t>(bits(i, 14, 12) << Operands::kRoundingShift);
}
constexpr int32_t imm_i(uint32_t i) {
    return sign_extend(bits(i, 31, 20), 12);
}
constexpr int32_t imm_s(uint32_t i) {
    return sign_extend(bits(i, 31, 25) << 5 | bits(i, 11, 7), 12);
}
constexpr int32_t imm_b(uint32_t i) {
    return sign_extend(bits(i, 31, 31) << 12 | bits(i, 7, 7) << 11 | bits(i, 30, 25) << 5 | bits(i, 11, 8) << 1, 13);
}
constexpr int32_t imm_j(uint32_t i) {
    return sign_extend(bits(i, 31, 31) << 20 | bits(i, 19, 12) << 12 | bits(i, 20, 20) << 11 | bits(i, 30, 21) << 1,
                       21);
}
// Registers x8 to x15 of the compressed formats.
constexpr uint8_t short_low(uint32_t i) {
    return static_cast<uint8_t>(8 + bits(i, 4, 2));
}
constexpr uint8_t short_high(uint32_t i) {
    return static_cast<uint8_t>(8 + bits(i, 9, 7));
}
constexpr uint8_t c_rs2(uint32_t i) {
    return static_cast<uint8_t>(bits(i, 6, 2));
}
constexpr int32_t c_imm6(uint32_t i) {
    return sign_extend(bits(i, 12, 12) << 5 | bits(i, 6, 2), 6);
}
constexpr int32_t c_shift(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 12) << 5 | bits(i, 6, 2));
}
constexpr int32_t c_word(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 10) << 3 | bits(i, 6, 6) << 2 | bits(i, 5, 5) << 6);
}
constexpr int32_t c_double(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 10) << 3 | bits(i, 6, 5) << 6);
}
constexpr int32_t c_branch(uint32_t i) {
    return sign_extend(
        bits(i, 12, 12) << 8 | bits(i, 6, 5) << 6 | bits(i, 2, 2) << 5 | bits(i, 11, 10) << 3 | bits(i, 4, 3) << 1, 9);
}
constexpr int32_t c_jump(uint32_t i) {
    return sign_extend(bits(i, 12, 12) << 11 | bits(i, 8, 8) << 10 | bits(i, 10, 9) << 8 | bits(i, 6, 6) << 7 |
                           bits(i, 7, 7) << 6 | bits(i, 2, 2) << 5 | bits(i, 11, 11) << 4 | bits(i, 5, 3) << 1,
                       12);
}
constexpr int32_t c_load_word_sp(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 12) << 5 | bits(i, 6, 4) << 2 | bits(i, 3, 2) << 6);
}
constexpr int32_t c_load_double_sp(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 12) << 5 | bits(i, 6, 5) << 3 | bits(i, 4, 2) << 6);
}
constexpr int32_t c_store_word_sp(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 9) << 2 | bits(i, 8, 7) << 6);
}
constexpr int32_t c_store_double_sp(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 10) << 3 | bits(i, 9, 7) << 6);
}
constexpr int32_t c_addi4spn(uint32_t i) {
    return static_cast<int32_t>(bits(i, 12, 11) << 4 | bits(i, 10, 7) << 6 | bits(i, 6, 6) << 2 | bits(i, 5, 5) << 3);
}
constexpr int32_t c_addi16sp(uint32_t i) {
    return sign_extend(
        bits(i, 12, 12) << 9 | bits(i, 6, 6) << 4 | bits(i, 5, 5) << 6 | bits(i, 4, 3) << 7 | bits(i, 2, 2) << 5, 10);
}

constexpr Operands make(int32_t imm, uint8_t rd = 0, uint8_t rs1 = 0, uint8_t rs2 = 0) {
    return {imm, rd, rs1, rs2};
}

// clang-format off
#define DOPPEL_FORMAT(name, syntax, ...) \
    inline constexpr OperandFormat name{[](uint32_t i) -> Operands { (void)i; return make(__VA_ARGS__); }, syntax};

DOPPEL_FORMAT(None,    "",                0)
DOPPEL_FORMAT(R,       "%d, %1, %2",      0, rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(RsRs,    "%1, %2",          0, 0, rs1(i), rs2(i))
DOPPEL_FORMAT(Unary,   "%d, %1",          0, rd(i), rs1(i))
DOPPEL_FORMAT(I,       "%d, %1, %i",      imm_i(i), rd(i), rs1(i))
DOPPEL_FORMAT(Shift64, "%d, %1, %i",      static_cast<int32_t>(bits(i, 25, 20)), rd(i), rs1(i))
DOPPEL_FORMAT(Shift32, "%d, %1, %i",      static_cast<int32_t>(bits(i, 24, 20)), rd(i), rs1(i))
DOPPEL_FORMAT(AesRound,"%d, %1, %i",      static_cast<int32_t>(bits(i, 23, 20)), rd(i), rs1(i))
DOPPEL_FORMAT(ByteRR,  "%d, %1, %2, %i",  static_cast<int32_t>(bits(i, 31, 30)), rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(Load,    "%d, %i(%1)",      imm_i(i), rd(i), rs1(i))
DOPPEL_FORMAT(Store,   "%2, %i(%1)",      imm_s(i), 0, rs1(i), rs2(i))
DOPPEL_FORMAT(B,       "%1, %2, %t",      imm_b(i), 0, rs1(i), rs2(i))
DOPPEL_FORMAT(U,       "%d, %u",          static_cast<int32_t>(i & 0xfffff000u), rd(i))
DOPPEL_FORMAT(J,       "%d, %t",          imm_j(i), rd(i))
DOPPEL_FORMAT(Csr,     "%d, %c, %1",      static_cast<int32_t>(bits(i, 31, 20)), rd(i), rs1(i))
DOPPEL_FORMAT(CsrImm,  "%d, %c, %z",      static_cast<int32_t>(bits(i, 31, 20)), rd(i), rs1(i))
DOPPEL_FORMAT(Fence,   "%p, %q",          static_cast<int32_t>(bits(i, 31, 20)))
DOPPEL_FORMAT(Address, "(%1)",            0, 0, rs1(i))
DOPPEL_FORMAT(Lr,      "%d, (%1)",        static_cast<int32_t>(bits(i, 26, 25)), rd(i), rs1(i))
DOPPEL_FORMAT(Amo,     "%d, %2, (%1)",    static_cast<int32_t>(bits(i, 26, 25)), rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(FLoad,   "%D, %i(%1)",      imm_i(i), rd(i), rs1(i))
DOPPEL_FORMAT(FStore,  "%T, %i(%1)",      imm_s(i), 0, rs1(i), rs2(i))
DOPPEL_FORMAT(F4,      "%D, %S, %T, %U%m",static_cast<int32_t>(bits(i, 31, 27)) | rounding(i), rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(F3Round, "%D, %S, %T%m",    rounding(i), rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(F2Round, "%D, %S%m",        rounding(i), rd(i), rs1(i))
DOPPEL_FORMAT(F3,      "%D, %S, %T",      0, rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(XFF,     "%d, %S, %T",      0, rd(i), rs1(i), rs2(i))
DOPPEL_FORMAT(XF,      "%d, %S",          0, rd(i), rs1(i))
DOPPEL_FORMAT(FX,      "%D, %1",          0, rd(i), rs1(i))
DOPPEL_FORMAT(XFRound, "%d, %S%m",        rounding(i), rd(i), rs1(i))
DOPPEL_FORMAT(FXRound, "%D, %1%m",        rounding(i), rd(i), rs1(i))

DOPPEL_FORMAT(CIllegal,"",                0)
DOPPEL_FORMAT(CIW,     "%d, sp, %i",      c_addi4spn(i), short_low(i), 2)
DOPPEL_FORMAT(CLW,     "%d, %i(%1)",      c_word(i), short_low(i), short_high(i))
DOPPEL_FORMAT(CLD,     "%d, %i(%1)",      c_double(i), short_low(i), short_high(i))
DOPPEL_FORMAT(CSW,     "%2, %i(%1)",      c_word(i), 0, short_high(i), short_low(i))
DOPPEL_FORMAT(CSD,     "%2, %i(%1)",      c_double(i), 0, short_high(i), short_low(i))
DOPPEL_FORMAT(CFLD,    "%D, %i(%1)",      c_double(i), short_low(i), short_high(i))
DOPPEL_FORMAT(CFSD,    "%T, %i(%1)",      c_double(i), 0, short_high(i), short_low(i))
DOPPEL_FORMAT(CINop,   "",                0)
DOPPEL_FORMAT(CI,      "%d, %i",          c_imm6(i), rd(i), rd(i))
DOPPEL_FORMAT(CILi,    "%d, %i",          c_imm6(i), rd(i), 0)
DOPPEL_FORMAT(CI16sp,  "sp, %i",          c_addi16sp(i), 2, 2)
DOPPEL_FORMAT(CILui,   "%d, %u",          c_imm6(i) * 4096, rd(i))
DOPPEL_FORMAT(CISlli,  "%d, %i",          c_shift(i), rd(i), rd(i))
DOPPEL_FORMAT(CBShift, "%d, %i",          c_shift(i), short_high(i), short_high(i))
DOPPEL_FORMAT(CBAndi,  "%d, %i",          c_imm6(i), short_high(i), short_high(i))
DOPPEL_FORMAT(CA,      "%d, %2",          0, short_high(i), short_high(i), short_low(i))
DOPPEL_FORMAT(CJ,      "%t",              c_jump(i), 0)
DOPPEL_FORMAT(CB,      "%1, %t",          c_branch(i), 0, short_high(i), 0)
DOPPEL_FORMAT(CIFldsp, "%D, %i(sp)",      c_load_double_sp(i), rd(i), 2)
DOPPEL_FORMAT(CILwsp,  "%d, %i(sp)",      c_load_word_sp(i), rd(i), 2)
DOPPEL_FORMAT(CILdsp,  "%d, %i(sp)",      c_load_double_sp(i), rd(i), 2)
DOPPEL_FORMAT(CRJump,  "%1",              0, 0, rd(i))
DOPPEL_FORMAT(CRLink,  "%1",              0, 1, rd(i))
DOPPEL_FORMAT(CRMv,    "%d, %2",          0, rd(i), 0, c_rs2(i))
DOPPEL_FORMAT(CRAdd,   "%d, %2",          0, rd(i), rd(i), c_rs2(i))
DOPPEL_FORMAT(CSFsdsp, "%T, %i(sp)",      c_store_double_sp(i), 0, 2, c_rs2(i))
DOPPEL_FORMAT(CSSwsp,  "%2, %i(sp)",      c_store_word_sp(i), 0, 2, c_rs2(i))
DOPPEL_FORMAT(CSSdsp,  "%2, %i(sp)",      c_store_double_sp(i), 0, 2, c_rs2(i))
// clang-format on
#undef DOPPEL_FORMAT

}  // namespace formats
}  // namespace doppel::isa::riscv

#include "isa/riscv/operands_vector.h"
