// Operand formats of the vector extension; operands.h includes it and explains the syntax.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Instruction Formats".
#pragma once

#include "isa/riscv/operands.h"

namespace doppel::isa::riscv {

// What Operands::imm holds for vector instructions: vm and nf.
struct VectorFields {
    static constexpr unsigned kSegmentShift = 1;
    static constexpr int32_t kUnmasked = 1;

    static constexpr bool masked(const Operands& o) { return (o.imm & kUnmasked) == 0; }
    static constexpr unsigned segment(const Operands& o) { return static_cast<unsigned>(o.imm >> kSegmentShift & 7); }
};

namespace formats {

constexpr int32_t vm(uint32_t i) {
    return static_cast<int32_t>(bits(i, 25, 25));
}
constexpr int32_t vm_nf(uint32_t i) {
    return static_cast<int32_t>(bits(i, 25, 25) | bits(i, 31, 29) << VectorFields::kSegmentShift);
}

#define DOPPEL_VECTOR_FORMAT(name, syntax, imm)                                                                  \
    inline constexpr OperandFormat name{[](uint32_t i) -> Operands { return make(imm, rd(i), rs1(i), rs2(i)); }, \
                                        syntax};

// clang-format off
DOPPEL_VECTOR_FORMAT(VSetvli,   "%d, %1, %v",       static_cast<int32_t>(bits(i, 30, 20)))
DOPPEL_VECTOR_FORMAT(VSetivli,  "%d, %z, %v",       static_cast<int32_t>(bits(i, 29, 20)))
DOPPEL_VECTOR_FORMAT(VLoad,     "%V, (%1)%M%N",     vm_nf(i))
DOPPEL_VECTOR_FORMAT(VStrided,  "%V, (%1), %2%M%N", vm_nf(i))
DOPPEL_VECTOR_FORMAT(VIndexed,  "%V, (%1), %Y%M%N", vm_nf(i))
DOPPEL_VECTOR_FORMAT(VWhole,    "%V, (%1)",         vm(i))
DOPPEL_VECTOR_FORMAT(VVV,       "%V, %Y, %W%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VVX,       "%V, %Y, %1%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VVI,       "%V, %Y, %s%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VVU,       "%V, %Y, %z%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VVF,       "%V, %Y, %S%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VMacVV,    "%V, %W, %Y%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VMacVX,    "%V, %1, %Y%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VMacVF,    "%V, %S, %Y%M",     vm(i))
DOPPEL_VECTOR_FORMAT(VUnary,    "%V, %Y%M",         vm(i))
DOPPEL_VECTOR_FORMAT(VNullary,  "%V%M",             vm(i))
DOPPEL_VECTOR_FORMAT(VVVCarry,  "%V, %Y, %W, v0",   vm(i))
DOPPEL_VECTOR_FORMAT(VVXCarry,  "%V, %Y, %1, v0",   vm(i))
DOPPEL_VECTOR_FORMAT(VVICarry,  "%V, %Y, %s, v0",   vm(i))
DOPPEL_VECTOR_FORMAT(VVFCarry,  "%V, %Y, %S, v0",   vm(i))
DOPPEL_VECTOR_FORMAT(VVVPlain,  "%V, %Y, %W",       vm(i))
DOPPEL_VECTOR_FORMAT(VVXPlain,  "%V, %Y, %1",       vm(i))
DOPPEL_VECTOR_FORMAT(VVIPlain,  "%V, %Y, %s",       vm(i))
DOPPEL_VECTOR_FORMAT(VUnaryPlain,"%V, %Y",          vm(i))
DOPPEL_VECTOR_FORMAT(VMoveV,    "%V, %W",           vm(i))
DOPPEL_VECTOR_FORMAT(VMoveX,    "%V, %1",           vm(i))
DOPPEL_VECTOR_FORMAT(VMoveI,    "%V, %s",           vm(i))
DOPPEL_VECTOR_FORMAT(VMoveF,    "%V, %S",           vm(i))
DOPPEL_VECTOR_FORMAT(VToX,      "%d, %Y%M",         vm(i))
DOPPEL_VECTOR_FORMAT(VToXPlain, "%d, %Y",           vm(i))
DOPPEL_VECTOR_FORMAT(VToF,      "%D, %Y",           vm(i))
// clang-format on
#undef DOPPEL_VECTOR_FORMAT

}  // namespace formats
}  // namespace doppel::isa::riscv
