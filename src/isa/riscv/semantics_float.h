// F and D.
// Source: RISC-V unprivileged manual, chapters "F" and "D"; the arithmetic is isa/float's.
#pragma once

#include "isa/float/float.h"
#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"

namespace doppel::isa::riscv::semantics {

using fp::Binary32;
using fp::Binary64;

// The shapes of float instructions; F is the format, Function one of isa/float/float.h.
template <class F, auto Function, class E>
void float_unary(E& e, const Operands& o) {
    e.with_rounding(
        o.rm(), [&](auto r) { e.template set_f<F>(o.rd, e.template rounded<Function>(r, e.template f<F>(o.rs1))); });
}
template <class F, auto Function, class E>
void float_binary(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) {
        e.template set_f<F>(o.rd, e.template rounded<Function>(r, e.template f<F>(o.rs1), e.template f<F>(o.rs2)));
    });
}
template <class F, auto Function, class E>
void float_fused(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) {
        e.template set_f<F>(o.rd, e.template rounded<Function>(r, e.template f<F>(o.rs1), e.template f<F>(o.rs2),
                                                               e.template f<F>(o.rs3())));
    });
}
template <class F, auto Function, class E>
void float_select(E& e, const Operands& o) {
    e.with_float([&] {
        e.template set_f<F>(o.rd, e.template flagged<Function>(e.template f<F>(o.rs1), e.template f<F>(o.rs2)));
    });
}
template <class F, auto Function, class E>
void float_compare(E& e, const Operands& o) {
    e.with_float(
        [&] { set_bit(e, o.rd, e.template flagged<Function>(e.template f<F>(o.rs1), e.template f<F>(o.rs2))); });
}
template <class F, auto Function, class E>
void float_to_word(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) { set_x32(e, o.rd, e.template rounded<Function>(r, e.template f<F>(o.rs1))); });
}
template <class F, auto Function, class E>
void float_to_double_word(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) { e.set_x(o.rd, e.template rounded<Function>(r, e.template f<F>(o.rs1))); });
}
template <class F, auto Function, class E>
void word_to_float(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) { e.template set_f<F>(o.rd, e.template rounded<Function>(r, x32(e, o.rs1))); });
}
template <class F, auto Function, class E>
void double_word_to_float(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) { e.template set_f<F>(o.rd, e.template rounded<Function>(r, e.x(o.rs1))); });
}
template <class To, class From, class E>
void float_to_float(E& e, const Operands& o) {
    e.with_rounding(o.rm(), [&](auto r) {
        e.template set_f<To>(o.rd, e.template rounded<&fp::convert<To, From>>(r, e.template f<From>(o.rs1)));
    });
}
// Sign injection: the magnitude of rs1 with a sign that `sign(a, b)` computes, other bits of its result ignored.
template <class F, class E, class Sign>
void float_sign(E& e, const Operands& o, Sign sign) {
    e.with_float([&] {
        auto mask = e.template constant<F::kWidth>(F::kSign);
        auto a = e.template f<F>(o.rs1), b = e.template f<F>(o.rs2);
        e.template set_f<F>(o.rd, (a & ~mask) | (sign(a, b) & mask));
    });
}

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

// clang-format off
// Everything that both formats have; S is the suffix.
#define DEFINE_FORMAT(S, F) \
    DEFINE(fmadd_##S)   { float_fused<F, &fp::fmadd<F>>(e, o); } \
    DEFINE(fmsub_##S)   { float_fused<F, &fp::fmsub<F>>(e, o); } \
    DEFINE(fnmsub_##S)  { float_fused<F, &fp::fnmsub<F>>(e, o); } \
    DEFINE(fnmadd_##S)  { float_fused<F, &fp::fnmadd<F>>(e, o); } \
    DEFINE(fadd_##S)    { float_binary<F, &fp::add<F>>(e, o); } \
    DEFINE(fsub_##S)    { float_binary<F, &fp::sub<F>>(e, o); } \
    DEFINE(fmul_##S)    { float_binary<F, &fp::mul<F>>(e, o); } \
    DEFINE(fdiv_##S)    { float_binary<F, &fp::div<F>>(e, o); } \
    DEFINE(fsqrt_##S)   { float_unary<F, &fp::sqrt<F>>(e, o); } \
    DEFINE(fsgnj_##S)   { float_sign<F>(e, o, [](auto, auto b) { return b; }); } \
    DEFINE(fsgnjn_##S)  { float_sign<F>(e, o, [](auto, auto b) { return ~b; }); } \
    DEFINE(fsgnjx_##S)  { float_sign<F>(e, o, [](auto a, auto b) { return a ^ b; }); } \
    DEFINE(fmin_##S)    { float_select<F, &fp::min<F>>(e, o); } \
    DEFINE(fmax_##S)    { float_select<F, &fp::max<F>>(e, o); } \
    DEFINE(feq_##S)     { float_compare<F, &fp::eq<F>>(e, o); } \
    DEFINE(flt_##S)     { float_compare<F, &fp::lt<F>>(e, o); } \
    DEFINE(fle_##S)     { float_compare<F, &fp::le<F>>(e, o); } \
    DEFINE(fclass_##S)  { e.with_float([&] { e.set_x(o.rd, zext<64>(e.template pure<&fp::classify<F>>(e.template f<F>(o.rs1)))); }); } \
    DEFINE(fcvt_w_##S)  { float_to_word<F, &fp::to_integer<int32_t, F>>(e, o); } \
    DEFINE(fcvt_wu_##S) { float_to_word<F, &fp::to_integer<uint32_t, F>>(e, o); } \
    DEFINE(fcvt_l_##S)  { float_to_double_word<F, &fp::to_integer<int64_t, F>>(e, o); } \
    DEFINE(fcvt_lu_##S) { float_to_double_word<F, &fp::to_integer<uint64_t, F>>(e, o); } \
    DEFINE(fcvt_##S##_w)  { word_to_float<F, &fp::from_integer<F, int32_t>>(e, o); } \
    DEFINE(fcvt_##S##_wu) { word_to_float<F, &fp::from_integer<F, uint32_t>>(e, o); } \
    DEFINE(fcvt_##S##_l)  { double_word_to_float<F, &fp::from_integer<F, int64_t>>(e, o); } \
    DEFINE(fcvt_##S##_lu) { double_word_to_float<F, &fp::from_integer<F, uint64_t>>(e, o); }

DEFINE_FORMAT(s, Binary32)
DEFINE_FORMAT(d, Binary64)

DEFINE(fcvt_s_d) { float_to_float<Binary32, Binary64>(e, o); }
DEFINE(fcvt_d_s) { float_to_float<Binary64, Binary32>(e, o); }

// Moves keep the bits, boxed properly or not.
DEFINE(fmv_x_w) { e.with_float([&] { set_x32(e, o.rd, trunc<32>(e.raw_f(o.rs1))); }); }
DEFINE(fmv_x_d) { e.with_float([&] { e.set_x(o.rd, e.raw_f(o.rs1)); }); }
DEFINE(fmv_w_x) { e.with_float([&] { e.template set_f<Binary32>(o.rd, x32(e, o.rs1)); }); }
DEFINE(fmv_d_x) { e.with_float([&] { e.set_raw_f(o.rd, e.x(o.rs1)); }); }

DEFINE(flw) { e.with_float([&] { e.template load<32>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.template set_f<Binary32>(o.rd, v); }); }); }
DEFINE(fld) { e.with_float([&] { e.template load<64>(e.x(o.rs1) + immediate(e, o), [&](auto v) { e.set_raw_f(o.rd, v); }); }); }
DEFINE(fsw) { e.with_float([&] { e.template store<32>(e.x(o.rs1) + immediate(e, o), trunc<32>(e.raw_f(o.rs2))); }); }
DEFINE(fsd) { e.with_float([&] { e.template store<64>(e.x(o.rs1) + immediate(e, o), e.raw_f(o.rs2)); }); }
// clang-format on

#undef DEFINE_FORMAT
#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
