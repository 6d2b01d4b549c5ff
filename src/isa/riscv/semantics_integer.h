// RV64I and M: arithmetic, control flow, loads and stores, multiplication and division; Zicond.
// Source: RISC-V unprivileged manual, chapters "RV32I", "RV64I", "M", "Zicond".
#pragma once

#include "isa/riscv/operands.h"

namespace doppel::isa::riscv::semantics {

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

template <class E>
auto immediate(E& e, const Operands& o) {
    return e.template constant<64>(static_cast<uint64_t>(static_cast<int64_t>(o.imm)));
}
template <class E>
auto immediate32(E& e, const Operands& o) {
    return e.template constant<32>(static_cast<uint32_t>(o.imm));
}
// The low half of a register, and a 32-bit result, which is always sign-extended.
template <class E>
auto x32(E& e, unsigned n) {
    return trunc<32>(e.x(n));
}
template <class E, class Word32>
void set_x32(E& e, unsigned n, Word32 value) {
    e.set_x(n, sext<64>(value));
}
template <class E, class Bit>
void set_bit(E& e, unsigned n, Bit value) {
    e.set_x(n, zext<64>(value));
}

// clang-format off
DEFINE(illegal) { e.illegal(); }

DEFINE(lui)   { e.set_x(o.rd, immediate(e, o)); }
DEFINE(auipc) { e.set_x(o.rd, e.pc() + immediate(e, o)); }

DEFINE(addi)  { e.set_x(o.rd, e.x(o.rs1) + immediate(e, o)); }
DEFINE(slti)  { set_bit(e, o.rd, slt(e.x(o.rs1), immediate(e, o))); }
DEFINE(sltiu) { set_bit(e, o.rd, ult(e.x(o.rs1), immediate(e, o))); }
DEFINE(xori)  { e.set_x(o.rd, e.x(o.rs1) ^ immediate(e, o)); }
DEFINE(ori)   { e.set_x(o.rd, e.x(o.rs1) | immediate(e, o)); }
DEFINE(andi)  { e.set_x(o.rd, e.x(o.rs1) & immediate(e, o)); }
DEFINE(slli)  { e.set_x(o.rd, shl(e.x(o.rs1), immediate(e, o))); }
DEFINE(srli)  { e.set_x(o.rd, shr(e.x(o.rs1), immediate(e, o))); }
DEFINE(srai)  { e.set_x(o.rd, sar(e.x(o.rs1), immediate(e, o))); }
DEFINE(addiw) { set_x32(e, o.rd, x32(e, o.rs1) + immediate32(e, o)); }
DEFINE(slliw) { set_x32(e, o.rd, shl(x32(e, o.rs1), immediate32(e, o))); }
DEFINE(srliw) { set_x32(e, o.rd, shr(x32(e, o.rs1), immediate32(e, o))); }
DEFINE(sraiw) { set_x32(e, o.rd, sar(x32(e, o.rs1), immediate32(e, o))); }

DEFINE(add)   { e.set_x(o.rd, e.x(o.rs1) + e.x(o.rs2)); }
DEFINE(sub)   { e.set_x(o.rd, e.x(o.rs1) - e.x(o.rs2)); }
DEFINE(sll)   { e.set_x(o.rd, shl(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(slt)   { set_bit(e, o.rd, slt(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(sltu)  { set_bit(e, o.rd, ult(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(xor_)  { e.set_x(o.rd, e.x(o.rs1) ^ e.x(o.rs2)); }
DEFINE(srl)   { e.set_x(o.rd, shr(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(sra)   { e.set_x(o.rd, sar(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(or_)   { e.set_x(o.rd, e.x(o.rs1) | e.x(o.rs2)); }
DEFINE(and_)  { e.set_x(o.rd, e.x(o.rs1) & e.x(o.rs2)); }
DEFINE(addw)  { set_x32(e, o.rd, x32(e, o.rs1) + x32(e, o.rs2)); }
DEFINE(subw)  { set_x32(e, o.rd, x32(e, o.rs1) - x32(e, o.rs2)); }
DEFINE(sllw)  { set_x32(e, o.rd, shl(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(srlw)  { set_x32(e, o.rd, shr(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(sraw)  { set_x32(e, o.rd, sar(x32(e, o.rs1), x32(e, o.rs2))); }

DEFINE(jal)  { e.set_x(o.rd, e.next_pc()); e.jump(e.pc() + immediate(e, o)); }
DEFINE(jalr) {
    auto target = (e.x(o.rs1) + immediate(e, o)) & e.template constant<64>(~uint64_t{1});
    e.set_x(o.rd, e.next_pc());
    e.jump(target);
}
DEFINE(beq)  { e.branch_if(eq(e.x(o.rs1), e.x(o.rs2)), o.imm); }
DEFINE(bne)  { e.branch_if(ne(e.x(o.rs1), e.x(o.rs2)), o.imm); }
DEFINE(blt)  { e.branch_if(slt(e.x(o.rs1), e.x(o.rs2)), o.imm); }
DEFINE(bge)  { e.branch_if(~slt(e.x(o.rs1), e.x(o.rs2)), o.imm); }
DEFINE(bltu) { e.branch_if(ult(e.x(o.rs1), e.x(o.rs2)), o.imm); }
DEFINE(bgeu) { e.branch_if(~ult(e.x(o.rs1), e.x(o.rs2)), o.imm); }

DEFINE(lb)  { e.template load<8>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, sext<64>(v)); }); }
DEFINE(lh)  { e.template load<16>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, sext<64>(v)); }); }
DEFINE(lw)  { e.template load<32>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, sext<64>(v)); }); }
DEFINE(ld)  { e.template load<64>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, v); }); }
DEFINE(lbu) { e.template load<8>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, zext<64>(v)); }); }
DEFINE(lhu) { e.template load<16>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, zext<64>(v)); }); }
DEFINE(lwu) { e.template load<32>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_x(o.rd, zext<64>(v)); }); }
DEFINE(sb)  { e.template store<8>(e.x(o.rs1) + immediate(e, o), trunc<8>(e.x(o.rs2))); }
DEFINE(sh)  { e.template store<16>(e.x(o.rs1) + immediate(e, o), trunc<16>(e.x(o.rs2))); }
DEFINE(sw)  { e.template store<32>(e.x(o.rs1) + immediate(e, o), trunc<32>(e.x(o.rs2))); }
DEFINE(sd)  { e.template store<64>(e.x(o.rs1) + immediate(e, o), e.x(o.rs2)); }

DEFINE(mul)    { e.set_x(o.rd, e.x(o.rs1) * e.x(o.rs2)); }
DEFINE(mulh)   { e.set_x(o.rd, mul_high_signed(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(mulhsu) { e.set_x(o.rd, mul_high_signed_unsigned(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(mulhu)  { e.set_x(o.rd, mul_high_unsigned(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(div)    { e.set_x(o.rd, sdiv(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(divu)   { e.set_x(o.rd, udiv(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(rem)    { e.set_x(o.rd, srem(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(remu)   { e.set_x(o.rd, urem(e.x(o.rs1), e.x(o.rs2))); }
DEFINE(mulw)   { set_x32(e, o.rd, x32(e, o.rs1) * x32(e, o.rs2)); }
DEFINE(divw)   { set_x32(e, o.rd, sdiv(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(divuw)  { set_x32(e, o.rd, udiv(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(remw)   { set_x32(e, o.rd, srem(x32(e, o.rs1), x32(e, o.rs2))); }
DEFINE(remuw)  { set_x32(e, o.rd, urem(x32(e, o.rs1), x32(e, o.rs2))); }

DEFINE(czero_eqz) { auto zero = e.template constant<64>(0); e.set_x(o.rd, select(eq(e.x(o.rs2), zero), zero, e.x(o.rs1))); }
DEFINE(czero_nez) { auto zero = e.template constant<64>(0); e.set_x(o.rd, select(ne(e.x(o.rs2), zero), zero, e.x(o.rs1))); }
// clang-format on

#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
