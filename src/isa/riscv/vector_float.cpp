// Single-width floating-point arithmetic, comparisons, merges and moves.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Floating-Point Instructions".
#include "isa/riscv/vector_float.h"

#include "isa/riscv/vector_estimate.h"

namespace doppel::isa::riscv::vector {

namespace {

// op(format, vs2[i], vs1[i] or scalar, vd[i], mode)
template <class Op>
VectorResult arithmetic(VectorUnit& unit, const VectorOperands& operands, Op op) {
    Operation v(unit, operands);
    check_float(v);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    FloatMode mode(unit.hart);
    uint64_t scalar = float_scalar(v, operands);
    with_float(v, [&](auto format) {
        using F = decltype(format);
        using T = typename F::Bits;
        v.each([&](uint64_t i) {
            T first = operands.first == Source::kVector ? v.get<T>(operands.vs1, i) : static_cast<T>(scalar);
            v.set(operands.vd, i, op(format, v.second<T>(i), first, v.get<T>(operands.vd, i), mode));
        });
    });
    return v.done();
}

// op(format, vs2[i], mode)
template <class Op>
VectorResult unary(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    check_float(v);
    v.destination(), v.source2();
    if (!v.legal()) return Operation::illegal();
    FloatMode mode(unit.hart);
    with_float(v, [&](auto format) {
        using T = typename decltype(format)::Bits;
        v.each([&](uint64_t i) { v.set(o.vd, i, static_cast<T>(op(format, v.second<T>(i), mode))); });
    });
    return v.done();
}

// op(format, vs2[i], vs1[i] or scalar, flags)
template <class Op>
VectorResult compare(VectorUnit& unit, const VectorOperands& operands, Op op) {
    Operation v(unit, operands);
    check_float(v);
    v.mask_destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    FloatMode mode(unit.hart);
    uint64_t scalar = float_scalar(v, operands);
    with_float(v, [&](auto format) {
        using T = typename decltype(format)::Bits;
        v.each([&](uint64_t i) {
            T first = operands.first == Source::kVector ? v.get<T>(operands.vs1, i) : static_cast<T>(scalar);
            v.set_bit(operands.vd, i, op(format, v.second<T>(i), first, mode.flags));
        });
    });
    return v.done();
}

// Sign injection: the magnitude of vs2[i] with the sign of `sign`.
template <class F>
typename F::Bits with_sign(typename F::Bits a, typename F::Bits sign) {
    return static_cast<typename F::Bits>((a & ~F::kSign) | (sign & F::kSign));
}

}  // namespace

// The operands of one element: a is vs2's, b vs1's or the scalar, d vd's; m is the FloatMode, g the flags.
#define ARITHMETIC(name, expression)                                                                               \
    VECTOR_OPERATION(name, arithmetic,                                                                             \
                     []<class F, class T>(F, T a, T b, [[maybe_unused]] T d, [[maybe_unused]] FloatMode& m) -> T { \
                         return expression;                                                                        \
                     })
#define COMPARE(name, expression) \
    VECTOR_OPERATION(name, compare, []<class F, class T>(F, T a, T b, Flags& g) -> bool { return expression; })

ARITHMETIC(vfadd, fp::add<F>(a, b, m.rounding, m.flags))
ARITHMETIC(vfsub, fp::sub<F>(a, b, m.rounding, m.flags))
ARITHMETIC(vfrsub, fp::sub<F>(b, a, m.rounding, m.flags))
ARITHMETIC(vfmul, fp::mul<F>(a, b, m.rounding, m.flags))
ARITHMETIC(vfdiv, fp::div<F>(a, b, m.rounding, m.flags))
ARITHMETIC(vfrdiv, fp::div<F>(b, a, m.rounding, m.flags))
ARITHMETIC(vfmin, fp::min<F>(a, b, m.flags))
ARITHMETIC(vfmax, fp::max<F>(a, b, m.flags))
ARITHMETIC(vfsgnj, with_sign<F>(a, b))
ARITHMETIC(vfsgnjn, with_sign<F>(a, static_cast<T>(~b)))
ARITHMETIC(vfsgnjx, with_sign<F>(a, static_cast<T>(a ^ b)))
ARITHMETIC(vfmadd, fp::fmadd<F>(b, d, a, m.rounding, m.flags))
ARITHMETIC(vfnmadd, fp::fnmadd<F>(b, d, a, m.rounding, m.flags))
ARITHMETIC(vfmsub, fp::fmsub<F>(b, d, a, m.rounding, m.flags))
ARITHMETIC(vfnmsub, fp::fnmsub<F>(b, d, a, m.rounding, m.flags))
ARITHMETIC(vfmacc, fp::fmadd<F>(b, a, d, m.rounding, m.flags))
ARITHMETIC(vfnmacc, fp::fnmadd<F>(b, a, d, m.rounding, m.flags))
ARITHMETIC(vfmsac, fp::fmsub<F>(b, a, d, m.rounding, m.flags))
ARITHMETIC(vfnmsac, fp::fnmsub<F>(b, a, d, m.rounding, m.flags))

COMPARE(vmfeq, fp::eq<F>(a, b, g))
COMPARE(vmfne, !fp::eq<F>(a, b, g))
COMPARE(vmflt, fp::lt<F>(a, b, g))
COMPARE(vmfle, fp::le<F>(a, b, g))
COMPARE(vmfgt, fp::lt<F>(b, a, g))
COMPARE(vmfge, fp::le<F>(b, a, g))

VECTOR_OPERATION(vfsqrt, unary,
                 []<class F, class T>(F, T a, FloatMode& m) { return fp::sqrt<F>(a, m.rounding, m.flags); })
VECTOR_OPERATION(vfrsqrt7, unary,
                 []<class F, class T>(F, T a, FloatMode& m) { return estimate_reciprocal_root<F>(a, m.flags); })
VECTOR_OPERATION(vfrec7, unary,
                 []<class F, class T>(F, T a, FloatMode& m) { return estimate_reciprocal<F>(a, m.rounding, m.flags); })
VECTOR_OPERATION(vfclass, unary, []<class F, class T>(F, T a, FloatMode&) { return fp::classify<F>(a); })

VectorResult vfmerge(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    check_float(v);
    return v.legal() ? vmerge(unit, at_float_width(v, o)) : Operation::illegal();
}

VectorResult vfmv_v(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    check_float(v);
    return v.legal() ? vmv_v(unit, at_float_width(v, o)) : Operation::illegal();
}

}  // namespace doppel::isa::riscv::vector
