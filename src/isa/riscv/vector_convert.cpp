// Conversions between floating-point and integer elements, and between the floating-point formats.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Floating-Point/Integer Type-Convert Instructions", "Widening
// ...", "Narrowing ...".
#include <limits>

#include "isa/riscv/vector_float.h"

namespace doppel::isa::riscv::vector {

namespace {

// Without Zvfh there is no binary16, but 16-bit integers convert from and to binary32.
template <class Integer, class F>
Integer float_value_to(typename F::Bits a, Rounding rounding, Flags& flags) {
    if constexpr (sizeof(Integer) >= 4) {
        return fp::to_integer<Integer, F>(a, rounding, flags);
    } else {
        Flags raised = 0;
        int32_t value = fp::to_integer<int32_t, F>(a, rounding, raised);
        constexpr int32_t kLowest = std::numeric_limits<Integer>::min(), kHighest = std::numeric_limits<Integer>::max();
        int32_t clipped = std::clamp(value, kLowest, kHighest);
        flags |= clipped == value ? raised : fp::kInvalid;
        return static_cast<Integer>(clipped);
    }
}
template <class F, class Integer>
typename F::Bits float_value_of(Integer value, Rounding rounding, Flags& flags) {
    if constexpr (sizeof(Integer) >= 4) return fp::from_integer<F, Integer>(value, rounding, flags);
    if constexpr (sizeof(Integer) < 4) return fp::from_integer<F, int32_t>(value, rounding, flags);
}

// op(vs2[i], mode) from To to From, types of a width each. `steps` are those of destination and source beside SEW.
template <class To, class From, class Op>
void convert_elements(Operation& v, const VectorOperands& o, FloatMode& mode, Op op) {
    v.each([&](uint64_t i) { v.set<To>(o.vd, i, static_cast<To>(op(v.second<From>(i), mode))); });
}

struct Steps {
    int destination;
    int source;
};
constexpr Steps kSame{0, 0}, kWidening{1, 0}, kNarrowing{0, 1};

bool begin(Operation& v, Steps steps, int float_width) {
    v.float_operation();
    v.require(float_width == kSingleWidth || float_width == kDoubleWidth);
    v.destination(steps.destination), v.source2(steps.source);
    return v.legal();
}

template <class T, bool is_signed>
using Integer = std::conditional_t<is_signed, std::make_signed_t<T>, T>;

// Float elements of vs2 to integers; the rounding is frm unless it is given.
template <bool is_signed>
VectorResult float_to_integer(VectorUnit& unit, const VectorOperands& o, Steps steps,
                              const Rounding* rounding = nullptr) {
    Operation v(unit, o);
    int float_width = v.width() + steps.source, integer_width = v.width() + steps.destination;
    if (!begin(v, steps, float_width)) return Operation::illegal();
    FloatMode mode(unit.hart);
    if (rounding != nullptr) mode.rounding = *rounding;
    auto convert = [&]<class F>(F) {
        with_width(integer_width, [&](auto zero) {
            using T = decltype(zero);
            convert_elements<T, typename F::Bits>(v, o, mode, [](auto a, FloatMode& m) {
                return float_value_to<Integer<T, is_signed>, F>(a, m.rounding, m.flags);
            });
        });
    };
    float_width == kSingleWidth ? convert(Binary32{}) : convert(Binary64{});
    return v.done();
}

template <bool is_signed>
VectorResult integer_to_float(VectorUnit& unit, const VectorOperands& o, Steps steps) {
    Operation v(unit, o);
    int float_width = v.width() + steps.destination, integer_width = v.width() + steps.source;
    if (!begin(v, steps, float_width)) return Operation::illegal();
    FloatMode mode(unit.hart);
    auto convert = [&]<class F>(F) {
        with_width(integer_width, [&](auto zero) {
            using T = decltype(zero);
            convert_elements<typename F::Bits, T>(v, o, mode, [](T a, FloatMode& m) {
                return float_value_of<F>(static_cast<Integer<T, is_signed>>(a), m.rounding, m.flags);
            });
        });
    };
    float_width == kSingleWidth ? convert(Binary32{}) : convert(Binary64{});
    return v.done();
}

template <class To, class From, class Op>
VectorResult float_to_float(VectorUnit& unit, const VectorOperands& o, Steps steps, Op op) {
    Operation v(unit, o);
    check_widening_float(v);
    if (!begin(v, steps, kSingleWidth)) return Operation::illegal();
    FloatMode mode(unit.hart);
    convert_elements<typename To::Bits, typename From::Bits>(v, o, mode, op);
    return v.done();
}

// To odd: what is cut off shows in the lowest bit, so that rounding once more is right.
uint32_t narrowed_to_odd(uint64_t a, FloatMode& mode) {
    Flags raised = 0;
    uint32_t result = fp::convert<Binary32, Binary64>(a, Rounding::kTowardZero, raised);
    mode.flags |= raised;
    return raised & fp::kInexact ? result | 1 : result;
}

constexpr Rounding kTowardZero = Rounding::kTowardZero;

}  // namespace

VECTOR_OPERATION(vfcvt_xu_f, float_to_integer<false>, kSame)
VECTOR_OPERATION(vfcvt_x_f, float_to_integer<true>, kSame)
VECTOR_OPERATION(vfcvt_rtz_xu_f, float_to_integer<false>, kSame, &kTowardZero)
VECTOR_OPERATION(vfcvt_rtz_x_f, float_to_integer<true>, kSame, &kTowardZero)
VECTOR_OPERATION(vfcvt_f_xu, integer_to_float<false>, kSame)
VECTOR_OPERATION(vfcvt_f_x, integer_to_float<true>, kSame)
VECTOR_OPERATION(vfwcvt_xu_f, float_to_integer<false>, kWidening)
VECTOR_OPERATION(vfwcvt_x_f, float_to_integer<true>, kWidening)
VECTOR_OPERATION(vfwcvt_rtz_xu_f, float_to_integer<false>, kWidening, &kTowardZero)
VECTOR_OPERATION(vfwcvt_rtz_x_f, float_to_integer<true>, kWidening, &kTowardZero)
VECTOR_OPERATION(vfwcvt_f_xu, integer_to_float<false>, kWidening)
VECTOR_OPERATION(vfwcvt_f_x, integer_to_float<true>, kWidening)
VECTOR_OPERATION(vfncvt_xu_f, float_to_integer<false>, kNarrowing)
VECTOR_OPERATION(vfncvt_x_f, float_to_integer<true>, kNarrowing)
VECTOR_OPERATION(vfncvt_rtz_xu_f, float_to_integer<false>, kNarrowing, &kTowardZero)
VECTOR_OPERATION(vfncvt_rtz_x_f, float_to_integer<true>, kNarrowing, &kTowardZero)
VECTOR_OPERATION(vfncvt_f_xu, integer_to_float<false>, kNarrowing)
VECTOR_OPERATION(vfncvt_f_x, integer_to_float<true>, kNarrowing)

VectorResult vfwcvt_f_f(VectorUnit& unit, const VectorOperands& o) {
    return float_to_float<Binary64, Binary32>(unit, o, kWidening, [](uint32_t a, FloatMode& m) {
        return fp::convert<Binary64, Binary32>(a, m.rounding, m.flags);
    });
}
VectorResult vfncvt_f_f(VectorUnit& unit, const VectorOperands& o) {
    return float_to_float<Binary32, Binary64>(unit, o, kNarrowing, [](uint64_t a, FloatMode& m) {
        return fp::convert<Binary32, Binary64>(a, m.rounding, m.flags);
    });
}
VectorResult vfncvt_rod_f_f(VectorUnit& unit, const VectorOperands& o) {
    return float_to_float<Binary32, Binary64>(unit, o, kNarrowing, narrowed_to_odd);
}

}  // namespace doppel::isa::riscv::vector
