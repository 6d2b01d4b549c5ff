// What float.h must compute, found another way: every result is located among the format's numbers by exact comparisons
// of big fixed-point values (a quotient q by q * b ? a, a root r by r * r ? a) and a binary search, and then rounded by
// IEEE 754's definitions. Slow. For tests and fuzzers; shares only types and constants with the implementation.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "isa/float/format.h"

namespace doppel::isa::fp::reference {

__extension__ using Wide = unsigned __int128;

// A non-negative number in units of 2^-2240, below 2^2112: holds sums and products of any two binary64 values exactly.
class Fixed {
  public:
    Fixed(Wide significand, int exponent) {
        int position = exponent + kScale;
        size_t word = static_cast<size_t>(position / 64);
        int shift = position % 64;
        uint64_t low = static_cast<uint64_t>(significand);
        uint64_t high = static_cast<uint64_t>(significand >> 64);
        words_.at(word) = low << shift;
        words_.at(word + 1) = high << shift | (shift == 0 ? 0 : low >> (64 - shift));
        words_.at(word + 2) = shift == 0 ? 0 : high >> (64 - shift);
    }

    // Negative, zero or positive as this is less than, equal to or greater than `other`.
    int compare(const Fixed& other) const {
        for (size_t i = kWords; i-- > 0;) {
            if (words_[i] != other.words_[i]) return words_[i] < other.words_[i] ? -1 : 1;
        }
        return 0;
    }
    Fixed& operator+=(const Fixed& other) {
        uint64_t carry = 0;
        for (size_t i = 0; i < kWords; i++) {
            Wide total = Wide{words_[i]} + other.words_[i] + carry;
            words_[i] = static_cast<uint64_t>(total);
            carry = static_cast<uint64_t>(total >> 64);
        }
        return *this;
    }
    // `other` is not greater.
    Fixed& operator-=(const Fixed& other) {
        uint64_t borrow = 0;
        for (size_t i = 0; i < kWords; i++) {
            Wide difference = Wide{words_[i]} - other.words_[i] - borrow;
            words_[i] = static_cast<uint64_t>(difference);
            borrow = static_cast<uint64_t>(difference >> 127);
        }
        return *this;
    }

  private:
    static constexpr int kScale = 2240;
    static constexpr size_t kWords = 70;
    std::array<uint64_t, kWords> words_{};
};

// significand * 2^exponent.
struct Dyadic {
    uint64_t significand;
    int exponent;

    Fixed fixed() const { return {significand, exponent}; }
};

inline Fixed product(const Dyadic& a, const Dyadic& b) {
    return {Wide{a.significand} * b.significand, a.exponent + b.exponent};
}

template <class F>
Dyadic decode(uint64_t bits) {
    uint64_t fraction = bits & ((uint64_t{1} << F::kFractionBits) - 1);
    int field = static_cast<int>((bits >> F::kFractionBits) & (2 * F::kBias + 1));
    if (field == 0) return {fraction, 1 - F::kBias - F::kFractionBits};
    return {fraction | uint64_t{1} << F::kFractionBits, field - F::kBias - F::kFractionBits};
}

template <class F>
auto native(typename F::Bits bits) {
    return std::bit_cast<std::conditional_t<sizeof(bits) == 4, float, double>>(bits);
}

template <class F>
bool nan(typename F::Bits bits) {
    return std::isnan(native<F>(bits));
}

template <class F>
bool signaling(typename F::Bits bits) {
    return nan<F>(bits) && ((bits >> (F::kFractionBits - 1)) & 1) == 0;
}

template <class F>
bool sign(typename F::Bits bits) {
    return std::signbit(native<F>(bits));
}

template <class F>
bool infinite(typename F::Bits bits) {
    return std::isinf(native<F>(bits));
}

template <class F>
bool zero(typename F::Bits bits) {
    return (bits << 1 & std::numeric_limits<typename F::Bits>::max()) == 0;
}

// A positive exact value: where it lies among the magnitudes of a grid (of a format's numbers, or of integers).
struct Located {
    uint64_t below;       // the largest member that is not above the value
    int to_below;         // 0: the value is that member
    int to_middle;        // negative: nearer to `below` than to the next; 0: halfway
    bool overflows;       // not below the first power of two that the format lacks
    bool below_normal;    // below the smallest normal number, and
    int to_normal;        //   so compared with what rounds to it at full precision: middle to it
    int to_last_precise;  //   and compared with the last full-precision number before it
};

// `compare(d)` is the sign of value - d.
template <class F>
Located locate(auto compare) {
    uint64_t low = 0;
    uint64_t high = (uint64_t{static_cast<unsigned>(2 * F::kBias + 1)} << F::kFractionBits) - 1;  // the largest finite
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (compare(decode<F>(middle)) >= 0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Dyadic found = decode<F>(low);
    constexpr int kMinExponent = 1 - F::kBias;
    constexpr int kPrecision = F::kFractionBits + 1;
    return {.below = low,
            .to_below = compare(found),
            .to_middle = compare(Dyadic{2 * found.significand + 1, found.exponent - 1}),
            .overflows = compare(Dyadic{1, F::kBias + 1}) >= 0,
            .below_normal = compare(Dyadic{1, kMinExponent}) < 0,
            .to_normal = compare(Dyadic{(uint64_t{2} << kPrecision) - 1, kMinExponent - kPrecision - 1}),
            .to_last_precise = compare(Dyadic{(uint64_t{1} << kPrecision) - 1, kMinExponent - kPrecision})};
}

// An operation's exact outcome, before rounding.
struct Exact {
    enum class Kind { kNan, kInfinity, kZero, kZeroSum, kNumber } kind;
    bool negative = false;
    Flags flags = 0;
    Located located = {};
};

struct Outcome {
    uint64_t bits;
    Flags flags;
    bool operator==(const Outcome&) const = default;
};

// Does a value between two neighbours go to the one of greater magnitude?
inline bool goes_up(Rounding rounding, bool negative, bool odd, int to_below, int to_middle) {
    switch (rounding) {
        case Rounding::kNearestEven:
            return to_middle > 0 || (to_middle == 0 && odd);
        case Rounding::kNearestMaxMagnitude:
            return to_middle >= 0;
        case Rounding::kTowardZero:
            return false;
        case Rounding::kDown:
            return negative && to_below != 0;
        case Rounding::kUp:
            return !negative && to_below != 0;
    }
    return false;
}

template <class F>
Outcome round(const Exact& exact, Rounding rounding) {
    uint64_t infinity = uint64_t{static_cast<unsigned>(2 * F::kBias + 1)} << F::kFractionBits;
    uint64_t minus = uint64_t{1} << (F::kWidth - 1);
    bool negative = exact.negative;
    switch (exact.kind) {
        case Exact::Kind::kNan:
            return {infinity | uint64_t{1} << (F::kFractionBits - 1), exact.flags};
        case Exact::Kind::kInfinity:
            return {infinity | (negative ? minus : 0), exact.flags};
        case Exact::Kind::kZero:
            return {negative ? minus : 0, exact.flags};
        case Exact::Kind::kZeroSum:
            return {rounding == Rounding::kDown ? minus : 0, exact.flags};
        case Exact::Kind::kNumber:
            break;
    }
    const Located& at = exact.located;
    bool up = goes_up(rounding, negative, (at.below & 1) != 0, at.to_below, at.to_middle);
    uint64_t bits = at.below + up;
    Flags flags = exact.flags;
    if (at.to_below != 0) flags |= kInexact;
    if (at.overflows || bits == infinity) flags |= kOverflow | kInexact;
    // The last full-precision number before the smallest normal one has an odd significand.
    bool normal_at_full_precision =
        goes_up(rounding, negative, true, at.to_last_precise, at.to_normal) && at.to_last_precise > 0;
    if (at.to_below != 0 && at.below_normal && !normal_at_full_precision) flags |= kUnderflow;
    return {bits | (negative ? minus : 0), flags};
}

inline constexpr Exact kInvalidNan = {.kind = Exact::Kind::kNan, .flags = kInvalid};

inline Exact propagate(bool invalid) {
    return {.kind = Exact::Kind::kNan, .flags = invalid ? kInvalid : 0};
}

// a * b + c for finite operands.
template <class F>
Exact finite_fma(typename F::Bits a, typename F::Bits b, typename F::Bits c) {
    bool product_sign = sign<F>(a) != sign<F>(b);
    bool product_zero = zero<F>(a) || zero<F>(b);
    if (product_zero && zero<F>(c)) {
        if (product_sign == sign<F>(c)) return {.kind = Exact::Kind::kZero, .negative = product_sign};
        return {.kind = Exact::Kind::kZeroSum};
    }
    Fixed total = product(decode<F>(a), decode<F>(b));
    Fixed addend = decode<F>(c).fixed();
    bool negative = product_sign;
    if (product_sign == sign<F>(c)) {
        total += addend;
    } else {
        int order = total.compare(addend);
        if (order == 0) return {.kind = Exact::Kind::kZeroSum};
        if (order < 0) {
            std::swap(total, addend);
            negative = sign<F>(c);
        }
        total -= addend;
    }
    auto compare = [&](const Dyadic& d) { return total.compare(d.fixed()); };
    return {.kind = Exact::Kind::kNumber, .negative = negative, .located = locate<F>(compare)};
}

template <class F>
Exact fma(typename F::Bits a, typename F::Bits b, typename F::Bits c) {
    bool invalid_product = (infinite<F>(a) && zero<F>(b)) || (zero<F>(a) && infinite<F>(b));
    if (nan<F>(a) || nan<F>(b) || nan<F>(c)) {
        return propagate(invalid_product || signaling<F>(a) || signaling<F>(b) || signaling<F>(c));
    }
    if (invalid_product) return kInvalidNan;
    bool product_sign = sign<F>(a) != sign<F>(b);
    if (infinite<F>(a) || infinite<F>(b)) {
        if (infinite<F>(c) && sign<F>(c) != product_sign) return kInvalidNan;
        return {.kind = Exact::Kind::kInfinity, .negative = product_sign};
    }
    if (infinite<F>(c)) return {.kind = Exact::Kind::kInfinity, .negative = sign<F>(c)};
    return finite_fma<F>(a, b, c);
}

template <class F>
typename F::Bits one() {
    return static_cast<typename F::Bits>(static_cast<typename F::Bits>(F::kBias) << F::kFractionBits);
}

template <class F>
Exact add(typename F::Bits a, typename F::Bits b) {
    return fma<F>(a, one<F>(), b);
}

template <class F>
Exact mul(typename F::Bits a, typename F::Bits b) {
    bool negative = sign<F>(a) != sign<F>(b);
    typename F::Bits zero_of_same_sign = negative ? typename F::Bits{1} << (F::kWidth - 1) : 0;
    return fma<F>(a, b, zero_of_same_sign);
}

template <class F>
Exact div(typename F::Bits a, typename F::Bits b) {
    bool negative = sign<F>(a) != sign<F>(b);
    if (nan<F>(a) || nan<F>(b)) return propagate(signaling<F>(a) || signaling<F>(b));
    if ((infinite<F>(a) && infinite<F>(b)) || (zero<F>(a) && zero<F>(b))) return kInvalidNan;
    if (infinite<F>(a)) return {.kind = Exact::Kind::kInfinity, .negative = negative};
    if (zero<F>(b)) return {.kind = Exact::Kind::kInfinity, .negative = negative, .flags = kDivideByZero};
    if (zero<F>(a) || infinite<F>(b)) return {.kind = Exact::Kind::kZero, .negative = negative};
    Fixed dividend = decode<F>(a).fixed();
    Dyadic divisor = decode<F>(b);
    auto compare = [&](const Dyadic& d) { return dividend.compare(product(d, divisor)); };
    return {.kind = Exact::Kind::kNumber, .negative = negative, .located = locate<F>(compare)};
}

template <class F>
Exact sqrt(typename F::Bits a) {
    if (nan<F>(a)) return propagate(signaling<F>(a));
    if (zero<F>(a)) return {.kind = Exact::Kind::kZero, .negative = sign<F>(a)};
    if (sign<F>(a)) return kInvalidNan;
    if (infinite<F>(a)) return {.kind = Exact::Kind::kInfinity};
    Fixed radicand = decode<F>(a).fixed();
    auto compare = [&](const Dyadic& d) { return radicand.compare(product(d, d)); };
    return {.kind = Exact::Kind::kNumber, .located = locate<F>(compare)};
}

template <class To, class From>
Exact convert(typename From::Bits a) {
    if (nan<From>(a)) return propagate(signaling<From>(a));
    if (infinite<From>(a)) return {.kind = Exact::Kind::kInfinity, .negative = sign<From>(a)};
    if (zero<From>(a)) return {.kind = Exact::Kind::kZero, .negative = sign<From>(a)};
    Fixed value = decode<From>(a).fixed();
    auto compare = [&](const Dyadic& d) { return value.compare(d.fixed()); };
    return {.kind = Exact::Kind::kNumber, .negative = sign<From>(a), .located = locate<To>(compare)};
}

template <class F, class Integer>
Exact from_integer(Integer integer) {
    if (integer == 0) return {.kind = Exact::Kind::kZero};
    Wide magnitude = integer < 0 ? Wide{0} - static_cast<Wide>(integer) : static_cast<Wide>(integer);
    Fixed value(magnitude, 0);
    auto compare = [&](const Dyadic& d) { return value.compare(d.fixed()); };
    return {.kind = Exact::Kind::kNumber, .negative = integer < 0, .located = locate<F>(compare)};
}

// The bits of the result are the integer's, zero-extended.
template <class Integer, class F>
Outcome to_integer(typename F::Bits a, Rounding rounding) {
    using Limits = std::numeric_limits<Integer>;
    using Unsigned = std::make_unsigned_t<Integer>;
    bool negative = sign<F>(a) && !nan<F>(a);
    Outcome saturated{static_cast<Unsigned>(negative ? Limits::min() : Limits::max()), kInvalid};
    if (nan<F>(a) || infinite<F>(a)) return saturated;
    Fixed value = decode<F>(a).fixed();
    if (value.compare(Fixed(1, 65)) >= 0) return saturated;
    Wide low = 0;
    Wide high = Wide{1} << 65;
    while (high - low > 1) {
        Wide middle = (low + high) / 2;
        (value.compare(Fixed(middle, 0)) >= 0 ? low : high) = middle;
    }
    int to_below = value.compare(Fixed(low, 0));
    int to_middle = value.compare(Fixed(2 * low + 1, -1));
    Wide magnitude = low + goes_up(rounding, negative, (low & 1) != 0, to_below, to_middle);
    Wide limit = static_cast<Wide>(Limits::max()) + (negative ? 1 : 0);
    if (negative && std::is_unsigned_v<Integer>) limit = 0;
    if (magnitude > limit) return saturated;
    Unsigned bits = static_cast<Unsigned>(negative ? Wide{0} - magnitude : magnitude);
    return {bits, to_below != 0 ? kInexact : 0};
}

// `pick_less`: the smaller of two numbers, else the larger.
template <class F>
Outcome extremum(typename F::Bits a, typename F::Bits b, bool pick_less) {
    Flags flags = signaling<F>(a) || signaling<F>(b) ? kInvalid : 0;
    if (nan<F>(a) && nan<F>(b)) return {round<F>(propagate(false), Rounding::kNearestEven).bits, flags};
    if (nan<F>(a)) return {b, flags};
    if (nan<F>(b)) return {a, flags};
    bool a_is_less = native<F>(a) < native<F>(b);
    if (zero<F>(a) && zero<F>(b)) a_is_less = sign<F>(a);
    return {a_is_less == pick_less ? a : b, flags};
}

enum class Relation { kEqual, kLess, kLessEqual };

template <class F>
Outcome relate(typename F::Bits a, typename F::Bits b, Relation relation) {
    bool any_nan = nan<F>(a) || nan<F>(b);
    bool any_signaling = signaling<F>(a) || signaling<F>(b);
    Flags flags = (relation == Relation::kEqual ? any_signaling : any_nan) ? kInvalid : 0;
    if (any_nan) return {0, flags};
    switch (relation) {
        case Relation::kEqual:
            return {native<F>(a) == native<F>(b), flags};
        case Relation::kLess:
            return {native<F>(a) < native<F>(b), flags};
        case Relation::kLessEqual:
            break;
    }
    return {native<F>(a) <= native<F>(b), flags};
}

template <class F>
uint32_t classify(typename F::Bits a) {
    bool minus = sign<F>(a);
    switch (std::fpclassify(native<F>(a))) {
        case FP_NAN:
            return signaling<F>(a) ? 0x100 : 0x200;
        case FP_INFINITE:
            return minus ? 0x001 : 0x080;
        case FP_NORMAL:
            return minus ? 0x002 : 0x040;
        case FP_SUBNORMAL:
            return minus ? 0x004 : 0x020;
        default:
            return minus ? 0x008 : 0x010;
    }
}

}  // namespace doppel::isa::fp::reference
