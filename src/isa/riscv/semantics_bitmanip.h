// Zba, Zbb, Zbs.
// Source: RISC-V unprivileged manual, chapter "B" (bit manipulation).
#pragma once

#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"

namespace doppel::isa::riscv::semantics {

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

template <class E>
auto shifted(E& e, unsigned n, unsigned by) {
    return shl(e.x(n), e.template constant<64>(by));
}
template <class E>
auto unsigned_word(E& e, unsigned n) {
    return zext<64>(x32(e, n));
}
template <class E>
auto shifted_word(E& e, unsigned n, unsigned by) {
    return shl(unsigned_word(e, n), e.template constant<64>(by));
}
// One bit at the position that the amount names.
template <class E, class Word64>
auto single_bit(E& e, Word64 amount) {
    return shl(e.template constant<64>(1), amount);
}
template <class E, class Word64>
auto extract_bit(E& e, unsigned n, Word64 amount) {
    return shr(e.x(n), amount) & e.template constant<64>(1);
}

// clang-format off
DEFINE(sh1add)    { e.set_x(o.rd, shifted(e, o.rs1, 1) + e.x(o.rs2)); }
DEFINE(sh2add)    { e.set_x(o.rd, shifted(e, o.rs1, 2) + e.x(o.rs2)); }
DEFINE(sh3add)    { e.set_x(o.rd, shifted(e, o.rs1, 3) + e.x(o.rs2)); }
DEFINE(add_uw)    { e.set_x(o.rd, unsigned_word(e, o.rs1) + e.x(o.rs2)); }
DEFINE(sh1add_uw) { e.set_x(o.rd, shifted_word(e, o.rs1, 1) + e.x(o.rs2)); }
DEFINE(sh2add_uw) { e.set_x(o.rd, shifted_word(e, o.rs1, 2) + e.x(o.rs2)); }
DEFINE(sh3add_uw) { e.set_x(o.rd, shifted_word(e, o.rs1, 3) + e.x(o.rs2)); }
DEFINE(slli_uw)   { e.set_x(o.rd, shl(unsigned_word(e, o.rs1), immediate(e, o))); }

DEFINE(andn)   { e.set_x(o.rd, e.x(o.rs1) & ~e.x(o.rs2)); }
DEFINE(orn)    { e.set_x(o.rd, e.x(o.rs1) | ~e.x(o.rs2)); }
DEFINE(xnor)   { e.set_x(o.rd, ~(e.x(o.rs1) ^ e.x(o.rs2))); }
DEFINE(clz)    { e.set_x(o.rd, count_leading_zeros(e.x(o.rs1))); }
DEFINE(ctz)    { e.set_x(o.rd, count_trailing_zeros(e.x(o.rs1))); }
DEFINE(cpop)   { e.set_x(o.rd, count_ones(e.x(o.rs1))); }
DEFINE(clzw)   { set_x32(e, o.rd, count_leading_zeros(x32(e, o.rs1))); }
DEFINE(ctzw)   { set_x32(e, o.rd, count_trailing_zeros(x32(e, o.rs1))); }
DEFINE(cpopw)  { set_x32(e, o.rd, count_ones(x32(e, o.rs1))); }
DEFINE(sext_b) { e.set_x(o.rd, sext<64>(trunc<8>(e.x(o.rs1)))); }
DEFINE(sext_h) { e.set_x(o.rd, sext<64>(trunc<16>(e.x(o.rs1)))); }
DEFINE(zext_h) { e.set_x(o.rd, zext<64>(trunc<16>(e.x(o.rs1)))); }
DEFINE(max)    { e.set_x(o.rd, select(slt(e.x(o.rs1), e.x(o.rs2)), e.x(o.rs2), e.x(o.rs1))); }
DEFINE(maxu)   { e.set_x(o.rd, select(ult(e.x(o.rs1), e.x(o.rs2)), e.x(o.rs2), e.x(o.rs1))); }
DEFINE(min)    { e.set_x(o.rd, select(slt(e.x(o.rs1), e.x(o.rs2)), e.x(o.rs1), e.x(o.rs2))); }
DEFINE(minu)   { e.set_x(o.rd, select(ult(e.x(o.rs1), e.x(o.rs2)), e.x(o.rs1), e.x(o.rs2))); }
DEFINE(rol)    { e.set_x(o.rd, rotl(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(ror)    { e.set_x(o.rd, rotr(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(rori)   { e.set_x(o.rd, rotr(e.x(o.rs1), immediate(e, o))); }
DEFINE(rolw)   { set_x32(e, o.rd, rotl(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(rorw)   { set_x32(e, o.rd, rotr(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(roriw)  { set_x32(e, o.rd, rotr(x32(e, o.rs1), immediate32(e, o))); }
DEFINE(rev8)   { e.set_x(o.rd, byte_reverse(e.x(o.rs1))); }
DEFINE(orc_b) {
    // Gather each byte's bits into its lowest, then spread that one over the byte.
    auto v = e.x(o.rs1);
    v = v | shr(v, e.template constant<64>(4));
    v = v | shr(v, e.template constant<64>(2));
    v = v | shr(v, e.template constant<64>(1));
    e.set_x(o.rd, (v & e.template constant<64>(0x0101010101010101)) * e.template constant<64>(0xff));
}

DEFINE(bclr)  { e.set_x(o.rd, e.x(o.rs1) & ~single_bit(e, e.x(o.rs2))); }
DEFINE(bext)  { e.set_x(o.rd, extract_bit(e, o.rs1, e.x(o.rs2))); }
DEFINE(binv)  { e.set_x(o.rd, e.x(o.rs1) ^ single_bit(e, e.x(o.rs2))); }
DEFINE(bset)  { e.set_x(o.rd, e.x(o.rs1) | single_bit(e, e.x(o.rs2))); }
DEFINE(bclri) { e.set_x(o.rd, e.x(o.rs1) & ~single_bit(e, immediate(e, o))); }
DEFINE(bexti) { e.set_x(o.rd, extract_bit(e, o.rs1, immediate(e, o))); }
DEFINE(binvi) { e.set_x(o.rd, e.x(o.rs1) ^ single_bit(e, immediate(e, o))); }
DEFINE(bseti) { e.set_x(o.rd, e.x(o.rs1) | single_bit(e, immediate(e, o))); }
// clang-format on

#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
