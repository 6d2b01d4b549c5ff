// IEEE-754 arithmetic with RISC-V's rules, as functions from bit patterns to bit patterns (Binary32, Binary64).
//
// A NaN result is always the canonical quiet NaN; tininess is detected after rounding; `flags` accumulates (format.h).
// Sign injection and moves are plain bit operations of the caller.
//
// Thread-safe; no state but the host's floating-point environment: the calling thread's rounding and exception masks
// must be the ABI's defaults (nearest, no flush to zero, all masked) and are so on return; its sticky exception flags
// are clobbered. Sources: IEEE 754-2019; The RISC-V Instruction Set Manual, volume I, "F" 2.2 and "D" 2.2.
#pragma once

#include <cstdint>

#include "isa/float/format.h"

namespace doppel::isa::fp {

template <class F>
typename F::Bits add(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags);
template <class F>
typename F::Bits sub(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags);
template <class F>
typename F::Bits mul(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags);
template <class F>
typename F::Bits div(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags);
template <class F>
typename F::Bits sqrt(typename F::Bits a, Rounding rounding, Flags& flags);

// a * b + c, rounded once. Infinity times zero is invalid even when c is a quiet NaN.
template <class F>
typename F::Bits fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags);

// The four fused instructions, by the signs that they give to product and addend.
template <class F>
typename F::Bits fmadd(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags) {
    return fma<F>(a, b, c, rounding, flags);
}
template <class F>
typename F::Bits fmsub(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags) {
    return fma<F>(a, b, c ^ F::kSign, rounding, flags);
}
template <class F>
typename F::Bits fnmsub(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags) {
    return fma<F>(a ^ F::kSign, b, c, rounding, flags);
}
template <class F>
typename F::Bits fnmadd(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags) {
    return fma<F>(a ^ F::kSign, b, c ^ F::kSign, rounding, flags);
}

// minimumNumber and maximumNumber: -0 is less than +0, a number wins over a NaN, a signaling NaN raises invalid.
template <class F>
typename F::Bits min(typename F::Bits a, typename F::Bits b, Flags& flags);
template <class F>
typename F::Bits max(typename F::Bits a, typename F::Bits b, Flags& flags);

// `eq` is quiet (invalid for signaling NaNs only), `lt` and `le` are signaling (invalid for any NaN).
template <class F>
bool eq(typename F::Bits a, typename F::Bits b, Flags& flags);
template <class F>
bool lt(typename F::Bits a, typename F::Bits b, Flags& flags);
template <class F>
bool le(typename F::Bits a, typename F::Bits b, Flags& flags);

// FCLASS: exactly one bit of ten: -inf, -normal, -subnormal, -0, +0, +subnormal, +normal, +inf, signaling NaN, quiet
// NaN.
template <class F>
uint32_t classify(typename F::Bits a);

// Integer is int32_t, uint32_t, int64_t or uint64_t. What does not fit after rounding, and NaN (as +infinity),
// saturates and raises invalid alone.
template <class Integer, class F>
Integer to_integer(typename F::Bits a, Rounding rounding, Flags& flags);
template <class F, class Integer>
typename F::Bits from_integer(Integer value, Rounding rounding, Flags& flags);

// Between formats.
template <class To, class From>
typename To::Bits convert(typename From::Bits a, Rounding rounding, Flags& flags);

// NaN boxing: a binary32 value in a 64-bit register has all upper bits set; any other content reads as the canonical
// NaN.
constexpr uint64_t box32(uint32_t a) {
    return 0xffff'ffff'0000'0000 | a;
}
constexpr uint32_t unbox32(uint64_t boxed) {
    return (boxed >> 32) == 0xffff'ffff ? static_cast<uint32_t>(boxed) : Binary32::kCanonicalNan;
}

}  // namespace doppel::isa::fp
