// The 7-bit estimates of reciprocals and reciprocal square roots. Private to vector_*.cpp.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Floating-Point Reciprocal Square-Root Estimate Instruction"
// and "Vector Floating-Point Reciprocal Estimate Instruction".
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "isa/float/format.h"

namespace doppel::isa::riscv::vector {

namespace estimate_tables {

// The nearest 7-bit fractions to the function in the middle of each interval, which gives the manual's tables.
constexpr std::array<uint8_t, 128> reciprocals() {
    std::array<uint8_t, 128> table{};
    for (unsigned i = 0; i < 128; i++) {
        // 256 / (1 + (i + 1/2) / 128), rounded, without its leading bit
        unsigned denominator = 2 * i + 257;
        table[i] = static_cast<uint8_t>((2 * 65536 + denominator) / (2 * denominator) - 128);
    }
    return table;
}
// The first half for inputs in [2, 4), the second for [1, 2).
constexpr std::array<uint8_t, 128> reciprocal_roots() {
    std::array<uint8_t, 128> table{};
    for (unsigned i = 0; i < 128; i++) {
        // 256 / sqrt(x) where x is m / 128: the largest n with (n - 1/2)^2 * m <= 256^2 * 128
        uint64_t m = (2 * (i % 64) + 129) * (i < 64 ? 2 : 1);
        uint64_t n = 128;
        while ((2 * n + 1) * (2 * n + 1) * m <= uint64_t{4} * 65536 * 128) n++;
        table[i] = static_cast<uint8_t>(n - 128);
    }
    return table;
}
inline constexpr auto kReciprocals = reciprocals();
inline constexpr auto kReciprocalRoots = reciprocal_roots();

// A finite number other than 0: exponent as stored, below 1 for subnormal numbers, and fraction.
template <class F>
struct Normalized {
    int exponent;
    typename F::Bits fraction;

    explicit Normalized(typename F::Bits magnitude)
        : exponent(static_cast<int>(magnitude >> F::kFractionBits)), fraction(magnitude & F::kFraction) {
        if (exponent != 0) return;
        int shift = std::countl_zero(fraction) - (F::kWidth - F::kPrecision);
        exponent = 1 - shift;
        fraction = static_cast<typename F::Bits>(fraction << shift) & F::kFraction;
    }
    unsigned top(int bits) const { return static_cast<unsigned>(fraction >> (F::kFractionBits - bits)); }
};

}  // namespace estimate_tables

template <class F>
typename F::Bits estimate_reciprocal_root(typename F::Bits a, fp::Flags& flags) {
    using Bits = typename F::Bits;
    if (F::is_nan(a) || (F::is_negative(a) && !F::is_zero(a))) {
        if (!F::is_nan(a) || F::is_signaling(a)) flags |= fp::kInvalid;
        return F::kCanonicalNan;
    }
    if (F::is_zero(a)) return flags |= fp::kDivideByZero, static_cast<Bits>(a | F::kInfinity);
    if (F::is_infinite(a)) return 0;
    estimate_tables::Normalized<F> input(a);
    unsigned odd = static_cast<unsigned>(input.exponent & 1);
    Bits fraction = estimate_tables::kReciprocalRoots[odd << 6 | input.top(6)];
    Bits exponent = static_cast<Bits>((3 * F::kBias - 1 - input.exponent) / 2);
    return static_cast<Bits>(exponent << F::kFractionBits | fraction << (F::kFractionBits - 7));
}

template <class F>
typename F::Bits estimate_reciprocal(typename F::Bits a, fp::Rounding rounding, fp::Flags& flags) {
    using Bits = typename F::Bits;
    Bits sign = a & F::kSign;
    if (F::is_nan(a)) {
        if (F::is_signaling(a)) flags |= fp::kInvalid;
        return F::kCanonicalNan;
    }
    if (F::is_infinite(a)) return sign;
    if (F::is_zero(a)) return flags |= fp::kDivideByZero, static_cast<Bits>(sign | F::kInfinity);
    estimate_tables::Normalized<F> input(F::magnitude(a));
    if (input.exponent < -1) {
        flags |= fp::kOverflow | fp::kInexact;
        bool down =
            rounding == fp::Rounding::kTowardZero || rounding == (sign != 0 ? fp::Rounding::kUp : fp::Rounding::kDown);
        return static_cast<Bits>(sign | (down ? F::kMaxFinite : F::kInfinity));
    }
    int exponent = 2 * F::kBias - 1 - input.exponent;
    Bits fraction = static_cast<Bits>(Bits{estimate_tables::kReciprocals[input.top(7)]} << (F::kFractionBits - 7));
    if (exponent <= 0) {
        // A subnormal result; no bit of the estimate is lost.
        fraction = static_cast<Bits>((fraction | F::kMinNormal) >> (1 - exponent));
        exponent = 0;
    }
    return static_cast<Bits>(sign | static_cast<Bits>(exponent) << F::kFractionBits | fraction);
}

}  // namespace doppel::isa::riscv::vector
