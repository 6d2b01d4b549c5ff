// IEEE-754 binary interchange formats as bit patterns, and RISC-V's rounding modes and exception flags.
// Source: IEEE 754-2019; The RISC-V Instruction Set Manual, volume I, chapters "F" and "D".
#pragma once

#include <cstdint>

namespace doppel::isa::fp {

// The encoding of `frm` and of an instruction's `rm` field. The reserved encodings and DYN are the decoder's to refuse:
// every function here takes one of these five only.
enum class Rounding : uint8_t {
    kNearestEven = 0,          // RNE
    kTowardZero = 1,           // RTZ
    kDown = 2,                 // RDN
    kUp = 3,                   // RUP
    kNearestMaxMagnitude = 4,  // RMM: ties away from zero
};

// The accrued exceptions, bit for bit as in `fflags`. Operations only ever set bits.
using Flags = uint32_t;
inline constexpr Flags kInexact = 1;       // NX
inline constexpr Flags kUnderflow = 2;     // UF: inexact, and tiny after rounding
inline constexpr Flags kOverflow = 4;      // OF
inline constexpr Flags kDivideByZero = 8;  // DZ
inline constexpr Flags kInvalid = 16;      // NV

template <class BitsType, int exponent_bits>
struct Format {
    using Bits = BitsType;
    static constexpr int kWidth = 8 * sizeof(Bits);
    static constexpr int kFractionBits = kWidth - 1 - exponent_bits;
    static constexpr int kPrecision = kFractionBits + 1;
    static constexpr int kBias = (1 << (exponent_bits - 1)) - 1;

    static constexpr Bits kSign = Bits{1} << (kWidth - 1);
    static constexpr Bits kMinNormal = Bits{1} << kFractionBits;
    static constexpr Bits kFraction = kMinNormal - 1;
    static constexpr Bits kInfinity = static_cast<Bits>(~(kSign | kFraction));
    static constexpr Bits kMaxFinite = kInfinity - 1;
    static constexpr Bits kQuiet = kMinNormal >> 1;
    static constexpr Bits kCanonicalNan = kInfinity | kQuiet;

    static constexpr Bits magnitude(Bits a) { return a & ~kSign; }
    static constexpr bool is_negative(Bits a) { return (a & kSign) != 0; }
    static constexpr bool is_nan(Bits a) { return magnitude(a) > kInfinity; }
    static constexpr bool is_signaling(Bits a) { return is_nan(a) && (a & kQuiet) == 0; }
    static constexpr bool is_infinite(Bits a) { return magnitude(a) == kInfinity; }
    static constexpr bool is_finite(Bits a) { return magnitude(a) < kInfinity; }
    static constexpr bool is_zero(Bits a) { return magnitude(a) == 0; }
};

struct Binary32 : Format<uint32_t, 8> {};
struct Binary64 : Format<uint64_t, 11> {};

}  // namespace doppel::isa::fp
