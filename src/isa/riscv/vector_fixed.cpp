// Fixed-point arithmetic: saturating and averaging addition, fractional multiplication, scaling shifts.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Fixed-Point Arithmetic Instructions".
#include "isa/riscv/vector_rounding.h"

namespace doppel::isa::riscv::vector {

namespace {

// op(vs2[i], vs1[i] or scalar, vector state)
template <class Op>
VectorResult fixed(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) { v.set(o.vd, i, static_cast<T>(op(v.second<T>(i), v.first<T>(i), v.vector()))); });
    });
    return v.done();
}

template <class T>
T add_unsigned(T a, T b, VectorState& state) {
    T sum = static_cast<T>(a + b);
    if (sum >= a) return sum;
    state.vxsat = 1;
    return std::numeric_limits<T>::max();
}
template <class T>
T subtract_unsigned(T a, T b, VectorState& state) {
    if (a >= b) return static_cast<T>(a - b);
    state.vxsat = 1;
    return 0;
}
// The sum or difference in twice the width, clipped.
template <class T>
T clip_signed(Twice<T> wide, VectorState& state) {
    return static_cast<T>(saturate<std::make_signed_t<T>>(as_signed(wide), state.vxsat));
}
// `wide` halved: a carry or sign above T's bits comes down.
template <class T>
T halve(Twice<T> wide, VectorState& state) {
    return static_cast<T>(round_off(wide, 1, state.vxrm));
}
template <class T>
T multiply_fractions(T a, T b, VectorState& state) {
    auto product = as_signed(multiply(sign_extended(a), sign_extended(b)));
    return clip_signed<T>(static_cast<Twice<T>>(round_off(product, 8 * sizeof(T) - 1, state.vxrm)), state);
}
template <class T>
unsigned shift_of(T amount) {
    return static_cast<unsigned>(amount & (8 * sizeof(T) - 1));
}
template <class T>
Twice<T> sum(Twice<T> a, Twice<T> b) {
    return static_cast<Twice<T>>(a + b);
}
template <class T>
Twice<T> difference(Twice<T> a, Twice<T> b) {
    return static_cast<Twice<T>>(a - b);
}

using State = VectorState;

}  // namespace

// clang-format off
VECTOR_OPERATION(vsaddu, fixed, [](auto a, auto b, State& s) { return add_unsigned(a, b, s); })
VECTOR_OPERATION(vsadd, fixed, []<class T>(T a, T b, State& s) { return clip_signed<T>(sum<T>(sign_extended(a), sign_extended(b)), s); })
VECTOR_OPERATION(vssubu, fixed, [](auto a, auto b, State& s) { return subtract_unsigned(a, b, s); })
VECTOR_OPERATION(vssub, fixed, []<class T>(T a, T b, State& s) { return clip_signed<T>(difference<T>(sign_extended(a), sign_extended(b)), s); })
VECTOR_OPERATION(vaaddu, fixed, []<class T>(T a, T b, State& s) { return halve<T>(sum<T>(a, b), s); })
VECTOR_OPERATION(vaadd, fixed, []<class T>(T a, T b, State& s) { return halve<T>(sum<T>(sign_extended(a), sign_extended(b)), s); })
VECTOR_OPERATION(vasubu, fixed, []<class T>(T a, T b, State& s) { return halve<T>(difference<T>(a, b), s); })
VECTOR_OPERATION(vasub, fixed, []<class T>(T a, T b, State& s) { return halve<T>(difference<T>(sign_extended(a), sign_extended(b)), s); })
VECTOR_OPERATION(vsmul, fixed, [](auto a, auto b, State& s) { return multiply_fractions(a, b, s); })
VECTOR_OPERATION(vssrl, fixed, [](auto a, auto b, State& s) { return round_off(a, shift_of(b), s.vxrm); })
VECTOR_OPERATION(vssra, fixed, [](auto a, auto b, State& s) { return round_off(as_signed(a), shift_of(b), s.vxrm); })
// clang-format on

}  // namespace doppel::isa::riscv::vector
