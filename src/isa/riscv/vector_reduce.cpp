// Reductions: the active elements of vs2 and the first of vs1 become the first of vd.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Reduction Operations". Sums of either kind are made in
// order.
#include "isa/riscv/vector_float.h"

namespace doppel::isa::riscv::vector {

namespace {

// op(sum, element), where sums are 2^step times as wide as the elements.
template <int step, class Op>
VectorResult reduce(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.from_the_start();
    v.scalar_destination(), v.source2(), v.read({o.vs1, v.width() + step, 0});
    v.require(v.width() + step <= kLargestWidth);
    if (!v.legal()) return Operation::illegal();
    if (v.length() == 0) return v.done();
    with_width(v.width(), [&](auto zero) {
        with_width(v.width() + step, [&](auto wide_zero) {
            using T = decltype(zero);
            if constexpr (sizeof wide_zero == sizeof(T) << step) {
                auto sum = v.get<decltype(wide_zero)>(o.vs1, 0);
                v.each([&](uint64_t i) { sum = static_cast<decltype(sum)>(op(sum, v.second<T>(i))); });
                v.set(o.vd, 0, sum);
            }
        });
    });
    return v.done();
}

// op(format, sum, element, mode)
template <class Op>
VectorResult reduce_float(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    check_float(v);
    v.from_the_start();
    v.scalar_destination(), v.source2(), v.read({o.vs1, v.width(), 0});
    if (!v.legal()) return Operation::illegal();
    if (v.length() == 0) return v.done();
    FloatMode mode(unit.hart);
    with_float(v, [&](auto format) {
        using T = typename decltype(format)::Bits;
        T sum = v.get<T>(o.vs1, 0);
        v.each([&](uint64_t i) { sum = op(format, sum, v.second<T>(i), mode); });
        v.set(o.vd, 0, sum);
    });
    return v.done();
}

VectorResult sum_wide_floats(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    check_widening_float(v);
    v.from_the_start();
    v.scalar_destination(), v.source2(), v.read({o.vs1, kDoubleWidth, 0});
    if (!v.legal()) return Operation::illegal();
    if (v.length() == 0) return v.done();
    FloatMode mode(unit.hart);
    uint64_t sum = v.get<uint64_t>(o.vs1, 0);
    v.each([&](uint64_t i) {
        uint64_t wide = fp::convert<Binary64, Binary32>(v.second<uint32_t>(i), mode.rounding, mode.flags);
        sum = fp::add<Binary64>(sum, wide, mode.rounding, mode.flags);
    });
    v.set(o.vd, 0, sum);
    return v.done();
}

constexpr auto kSum = []<class F, class T>(F, T sum, T element, FloatMode& m) {
    return fp::add<F>(sum, element, m.rounding, m.flags);
};

}  // namespace

VECTOR_OPERATION(vredsum, reduce<0>, [](auto sum, auto a) { return sum + a; })
VECTOR_OPERATION(vredand, reduce<0>, [](auto sum, auto a) { return sum & a; })
VECTOR_OPERATION(vredor, reduce<0>, [](auto sum, auto a) { return sum | a; })
VECTOR_OPERATION(vredxor, reduce<0>, [](auto sum, auto a) { return sum ^ a; })
VECTOR_OPERATION(vredminu, reduce<0>, [](auto sum, auto a) { return sum < a ? sum : a; })
VECTOR_OPERATION(vredmin, reduce<0>, [](auto sum, auto a) { return as_signed(sum) < as_signed(a) ? sum : a; })
VECTOR_OPERATION(vredmaxu, reduce<0>, [](auto sum, auto a) { return sum > a ? sum : a; })
VECTOR_OPERATION(vredmax, reduce<0>, [](auto sum, auto a) { return as_signed(sum) > as_signed(a) ? sum : a; })
VECTOR_OPERATION(vwredsumu, reduce<1>, [](auto sum, auto a) { return sum + a; })
VECTOR_OPERATION(vwredsum, reduce<1>, [](auto sum, auto a) { return sum + static_cast<decltype(sum)>(as_signed(a)); })

VECTOR_OPERATION(vfredusum, reduce_float, kSum)
VECTOR_OPERATION(vfredosum, reduce_float, kSum)
VECTOR_OPERATION(vfredmin, reduce_float,
                 []<class F, class T>(F, T sum, T a, FloatMode& m) { return fp::min<F>(sum, a, m.flags); })
VECTOR_OPERATION(vfredmax, reduce_float,
                 []<class F, class T>(F, T sum, T a, FloatMode& m) { return fp::max<F>(sum, a, m.flags); })
VectorResult vfwredusum(VectorUnit& unit, const VectorOperands& o) {
    return sum_wide_floats(unit, o);
}
VectorResult vfwredosum(VectorUnit& unit, const VectorOperands& o) {
    return sum_wide_floats(unit, o);
}

}  // namespace doppel::isa::riscv::vector
