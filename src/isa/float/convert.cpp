#include <bit>
#include <limits>
#include <type_traits>

#include "isa/float/float.h"
#include "isa/float/soft_float.h"

namespace doppel::isa::fp {

template <class Integer, class F>
Integer to_integer(typename F::Bits a, Rounding rounding, Flags& flags) {
    using Limits = std::numeric_limits<Integer>;
    if (F::is_zero(a)) return 0;
    bool negative = F::is_negative(a) && !F::is_nan(a);
    uint64_t limit =
        negative ? uint64_t{0} - static_cast<uint64_t>(Limits::min()) : static_cast<uint64_t>(Limits::max());
    soft::Number number = soft::unpack<F>(a);  // of an infinity or NaN: an exponent that cannot fit
    soft::Rounded rounded{number.significand, false};
    if (number.exponent < 63) rounded = soft::round_off(number.significand, 63 - number.exponent, negative, rounding);
    if (number.exponent > 63 || rounded.quotient > limit) {
        flags |= kInvalid;
        return negative ? Limits::min() : Limits::max();
    }
    if (rounded.inexact) flags |= kInexact;
    return static_cast<Integer>(negative ? 0 - rounded.quotient : rounded.quotient);
}

template <class F, class Integer>
typename F::Bits from_integer(Integer value, Rounding rounding, Flags& flags) {
    if (value == 0) return 0;
    bool negative = value < 0;
    uint64_t magnitude = static_cast<uint64_t>(value);
    if (negative) magnitude = 0 - magnitude;
    int shift = std::countl_zero(magnitude);
    return soft::round_and_pack<F>({negative, 63 - shift, magnitude << shift}, rounding, flags);
}

template <class To, class From>
typename To::Bits convert(typename From::Bits a, Rounding rounding, Flags& flags) {
    if (From::is_nan(a)) {
        if (From::is_signaling(a)) flags |= kInvalid;
        return To::kCanonicalNan;
    }
    typename To::Bits sign = From::is_negative(a) ? To::kSign : 0;
    if (From::is_infinite(a)) return sign | To::kInfinity;
    if (From::is_zero(a)) return sign;
    return soft::round_and_pack<To>(soft::unpack<From>(a), rounding, flags);
}

#define DOPPEL_INSTANTIATE(F, Integer)                                  \
    template Integer to_integer<Integer, F>(F::Bits, Rounding, Flags&); \
    template F::Bits from_integer<F, Integer>(Integer, Rounding, Flags&);
DOPPEL_INSTANTIATE(Binary32, int32_t)
DOPPEL_INSTANTIATE(Binary32, uint32_t)
DOPPEL_INSTANTIATE(Binary32, int64_t)
DOPPEL_INSTANTIATE(Binary32, uint64_t)
DOPPEL_INSTANTIATE(Binary64, int32_t)
DOPPEL_INSTANTIATE(Binary64, uint32_t)
DOPPEL_INSTANTIATE(Binary64, int64_t)
DOPPEL_INSTANTIATE(Binary64, uint64_t)
#undef DOPPEL_INSTANTIATE

template Binary32::Bits convert<Binary32, Binary64>(Binary64::Bits, Rounding, Flags&);
template Binary64::Bits convert<Binary64, Binary32>(Binary32::Bits, Rounding, Flags&);

}  // namespace doppel::isa::fp
