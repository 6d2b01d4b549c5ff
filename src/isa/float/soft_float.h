// Correctly rounded arithmetic on finite operands in integers, for every rounding mode: what the host's unit cannot do
// (round to nearest, ties to max magnitude; fused multiply-add where it has none) and all conversions. Internal to this
// folder.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "isa/float/format.h"

namespace doppel::isa::fp::soft {

__extension__ using Wide = unsigned __int128;

// A finite non-zero number significand * 2^(exponent - 63); bit 63 of the significand is set. Where a result is not
// exact, bit 0 is sticky: set when anything below it is not zero. No format's precision reaches down to it.
struct Number {
    bool negative;
    int exponent;
    uint64_t significand;
};

template <class F>
constexpr Number unpack(typename F::Bits a) {
    uint64_t fraction = a & F::kFraction;
    int biased = static_cast<int>(F::magnitude(a) >> F::kFractionBits);
    uint64_t significand = biased == 0 ? fraction : fraction | F::kMinNormal;
    int shift = std::countl_zero(significand);
    int exponent = std::max(biased, 1) - F::kBias - F::kFractionBits + 63 - shift;
    return {F::is_negative(a), exponent, significand << shift};
}

struct Rounded {
    uint64_t quotient;
    bool inexact;
};

// significand / 2^dropped as an integer; `dropped` is at least 1 and may exceed 64.
constexpr Rounded round_off(uint64_t significand, int dropped, bool negative, Rounding rounding) {
    if (dropped > 64) {
        significand = significand != 0;  // less than half a unit: only "not zero" is left of it
        dropped = 64;
    }
    uint64_t quotient = dropped == 64 ? 0 : significand >> dropped;
    uint64_t remainder = significand << (64 - dropped);
    constexpr uint64_t kHalf = uint64_t{1} << 63;
    bool up = false;
    switch (rounding) {
        case Rounding::kNearestEven:
            up = remainder > kHalf || (remainder == kHalf && (quotient & 1) != 0);
            break;
        case Rounding::kTowardZero:
            break;
        case Rounding::kDown:
            up = remainder != 0 && negative;
            break;
        case Rounding::kUp:
            up = remainder != 0 && !negative;
            break;
        case Rounding::kNearestMaxMagnitude:
            up = remainder >= kHalf;
            break;
    }
    return {quotient + up, remainder != 0};
}

template <class F>
constexpr typename F::Bits overflow(bool negative, Rounding rounding, Flags& flags) {
    flags |= kOverflow | kInexact;
    bool truncates = rounding == Rounding::kTowardZero || rounding == (negative ? Rounding::kUp : Rounding::kDown);
    return (negative ? F::kSign : 0) | (truncates ? F::kMaxFinite : F::kInfinity);
}

template <class F>
constexpr typename F::Bits round_and_pack(const Number& number, Rounding rounding, Flags& flags) {
    constexpr int kDropped = 64 - F::kPrecision;
    int biased = number.exponent + F::kBias;
    int dropped = biased >= 1 ? kDropped : kDropped + 1 - biased;
    Rounded rounded = round_off(number.significand, dropped, number.negative, rounding);
    // The leading bit of a normal significand adds the one that is missing in the exponent, and so does a carry out of
    // it.
    uint64_t bits = (static_cast<uint64_t>(std::max(biased, 1) - 1) << F::kFractionBits) + rounded.quotient;
    if (bits >= F::kInfinity) return overflow<F>(number.negative, rounding, flags);
    if (rounded.inexact) {
        flags |= kInexact;
        // Tiny: below the smallest normal number even when rounded to full precision as if the exponent were unbounded.
        bool tiny = biased < 0;
        if (biased == 0) {
            tiny = round_off(number.significand, kDropped, number.negative, rounding).quotient >> F::kPrecision == 0;
        }
        if (tiny) flags |= kUnderflow;
    }
    return (number.negative ? F::kSign : 0) | static_cast<typename F::Bits>(bits);
}

// A number significand * 2^(exponent - 126) below 2^(exponent + 1); room for a carry above bit 126.
struct WideNumber {
    bool negative;
    int exponent;
    Wide significand;
};

constexpr WideNumber widen(const Number& a) {
    return {a.negative, a.exponent, Wide{a.significand} << 63};
}

constexpr uint64_t keep_high(Wide significand) {
    return static_cast<uint64_t>(significand >> 64) | (static_cast<uint64_t>(significand) != 0);
}

constexpr WideNumber wide_product(const Number& a, const Number& b) {
    Wide product = Wide{a.significand} * b.significand;
    bool negative = a.negative != b.negative;
    // The shift loses nothing: operands have at most 53 significant bits.
    if (product >> 127 != 0) return {negative, a.exponent + b.exponent + 1, product >> 1};
    return {negative, a.exponent + b.exponent, product};
}

template <class F>
constexpr typename F::Bits sum(WideNumber a, WideNumber b, Rounding rounding, Flags& flags) {
    if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand)) std::swap(a, b);
    int shift = a.exponent - b.exponent;
    // At most 106 bits count, so what falls out of the smaller term is far below the rounding point: one sticky bit
    // serves.
    Wide aligned = shift > 126 ? 0 : b.significand >> shift;
    bool lost = shift > 126 || aligned << shift != b.significand;
    aligned |= lost;
    Wide total = a.negative == b.negative ? a.significand + aligned : a.significand - aligned;
    if (total == 0) return rounding == Rounding::kDown ? F::kSign : 0;
    uint64_t high = static_cast<uint64_t>(total >> 64);
    int zeros = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<uint64_t>(total));
    return round_and_pack<F>({a.negative, a.exponent + 1 - zeros, keep_high(total << zeros)}, rounding, flags);
}

// The operations below take finite operands, not zero (but for fma's addend).

template <class F>
constexpr typename F::Bits add(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    return sum<F>(widen(unpack<F>(a)), widen(unpack<F>(b)), rounding, flags);
}

template <class F>
constexpr typename F::Bits mul(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    WideNumber product = wide_product(unpack<F>(a), unpack<F>(b));
    return round_and_pack<F>({product.negative, product.exponent, keep_high(product.significand << 1)}, rounding,
                             flags);
}

template <class F>
constexpr typename F::Bits div(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    Number x = unpack<F>(a);
    Number y = unpack<F>(b);
    bool below_one = x.significand < y.significand;
    Wide dividend = Wide{x.significand} << (below_one ? 64 : 63);
    uint64_t quotient = static_cast<uint64_t>(dividend / y.significand);
    bool sticky = Wide{quotient} * y.significand != dividend;
    return round_and_pack<F>({x.negative != y.negative, x.exponent - y.exponent - below_one, quotient | sticky},
                             rounding, flags);
}

template <class F>
constexpr typename F::Bits sqrt(typename F::Bits a, Rounding rounding, Flags& flags) {
    Number x = unpack<F>(a);
    bool odd = (x.exponent & 1) != 0;
    Wide radicand = Wide{x.significand} << (odd ? 64 : 63);
    uint64_t root = 0;
    for (uint64_t bit = uint64_t{1} << 63; bit != 0; bit >>= 1) {
        uint64_t candidate = root | bit;
        if (Wide{candidate} * candidate <= radicand) root = candidate;
    }
    bool sticky = Wide{root} * root != radicand;
    return round_and_pack<F>({false, (x.exponent - odd) / 2, root | sticky}, rounding, flags);
}

template <class F>
constexpr typename F::Bits fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding,
                               Flags& flags) {
    WideNumber product = wide_product(unpack<F>(a), unpack<F>(b));
    if (!F::is_zero(c)) return sum<F>(product, widen(unpack<F>(c)), rounding, flags);
    return round_and_pack<F>({product.negative, product.exponent, keep_high(product.significand << 1)}, rounding,
                             flags);
}

}  // namespace doppel::isa::fp::soft
