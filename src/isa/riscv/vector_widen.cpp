// Integer arithmetic whose result is twice as wide as a source, or half as wide.
// Source: RISC-V unprivileged manual, chapter "V": "Vector Widening Integer Add/Subtract", "... Multiply", "...
// Multiply-Add", "Vector Narrowing Integer Right Shift", "Vector Narrowing Fixed-Point Clip".
#include "isa/riscv/vector_rounding.h"

namespace doppel::isa::riscv::vector {

namespace {

template <bool is_signed, class T>
Twice<T> extended(T value) {
    if constexpr (is_signed) return sign_extended(value);
    if constexpr (!is_signed) return zero_extended(value);
}

// op(vs2[i], vs1[i], vd[i]), extended where they are narrow: signed2 and signed1 say how.
template <bool signed2, bool signed1, bool wide2, bool accumulates = false, class Op>
VectorResult widening(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(1), v.source2(wide2 ? 1 : 0), v.source1();
    if (accumulates) v.read(v.group_at(o.vd, 1));
    if (!v.legal()) return Operation::illegal();
    with_narrow_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        using W = Twice<T>;
        v.each([&](uint64_t i) {
            W a = 0;
            if constexpr (wide2) a = v.second<W>(i);
            if constexpr (!wide2) a = extended<signed2>(v.second<T>(i));
            W b = extended<signed1>(v.first<T>(i));
            v.set(o.vd, i, static_cast<W>(op(a, b, v.get<W>(o.vd, i))));
        });
    });
    return v.done();
}

// op(wide vs2[i], shift amount)
template <class Op>
VectorResult narrowing(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(1), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_narrow_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        using W = Twice<T>;
        v.each([&](uint64_t i) {
            unsigned shift = static_cast<unsigned>(v.first<T>(i) & (8 * sizeof(W) - 1));
            v.set(o.vd, i, static_cast<T>(op(v.second<W>(i), shift, zero)));
        });
    });
    return v.done();
}

constexpr auto kAdd = [](auto a, auto b, auto) { return a + b; };
constexpr auto kSubtract = [](auto a, auto b, auto) { return a - b; };
constexpr auto kMultiply = [](auto a, auto b, auto) { return multiply(a, b); };
constexpr auto kMultiplyAdd = [](auto a, auto b, auto d) { return multiply(a, b) + d; };

}  // namespace

VectorResult vwaddu(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, false>(unit, o, kAdd);
}
VectorResult vwadd(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, false>(unit, o, kAdd);
}
VectorResult vwsubu(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, false>(unit, o, kSubtract);
}
VectorResult vwsub(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, false>(unit, o, kSubtract);
}
VectorResult vwaddu_w(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, true>(unit, o, kAdd);
}
VectorResult vwadd_w(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, true>(unit, o, kAdd);
}
VectorResult vwsubu_w(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, true>(unit, o, kSubtract);
}
VectorResult vwsub_w(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, true>(unit, o, kSubtract);
}
VectorResult vwmulu(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, false>(unit, o, kMultiply);
}
VectorResult vwmulsu(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, false, false>(unit, o, kMultiply);
}
VectorResult vwmul(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, false>(unit, o, kMultiply);
}
VectorResult vwmaccu(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, false, false, true>(unit, o, kMultiplyAdd);
}
VectorResult vwmacc(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, true, false, true>(unit, o, kMultiplyAdd);
}
VectorResult vwmaccus(VectorUnit& unit, const VectorOperands& o) {
    return widening<true, false, false, true>(unit, o, kMultiplyAdd);
}
VectorResult vwmaccsu(VectorUnit& unit, const VectorOperands& o) {
    return widening<false, true, false, true>(unit, o, kMultiplyAdd);
}

VECTOR_OPERATION(vnsrl, narrowing, [](auto wide, unsigned shift, auto) { return wide >> shift; })
VECTOR_OPERATION(vnsra, narrowing, [](auto wide, unsigned shift, auto) { return as_signed(wide) >> shift; })
VECTOR_OPERATION(vnclipu, narrowing, [&]<class W, class T>(W wide, unsigned shift, T) {
    VectorState& state = unit.hart.vector;
    return saturate<T>(round_off(wide, shift, state.vxrm), state.vxsat);
})
VECTOR_OPERATION(vnclip, narrowing, [&]<class W, class T>(W wide, unsigned shift, T) {
    VectorState& state = unit.hart.vector;
    return saturate<std::make_signed_t<T>>(round_off(as_signed(wide), shift, state.vxrm), state.vxsat);
})

}  // namespace doppel::isa::riscv::vector
