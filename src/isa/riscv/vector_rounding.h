// Fixed-point rounding and saturation. Private to vector_*.cpp.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Fixed-Point Rounding Mode Register vxrm".
#pragma once

#include <limits>

#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

// value / 2^shift, rounded as vxrm says; T may be signed. Never overflows when shift is not 0.
template <class T>
T round_off(T value, unsigned shift, unsigned mode) {
    enum { kNearestUp, kNearestEven, kDown, kOdd };
    if (shift == 0) return value;
    bool lowest_kept = (value >> shift & 1) != 0, half = (value >> (shift - 1) & 1) != 0;
    bool below_half = static_cast<T>(value & ((T{1} << (shift - 1)) - 1)) != 0;
    bool up = false;
    if (mode == kNearestUp) up = half;
    if (mode == kNearestEven) up = half && (below_half || lowest_kept);
    if (mode == kOdd) up = !lowest_kept && (half || below_half);
    return static_cast<T>((value >> shift) + (up ? 1 : 0));
}

// `value` clipped to the narrower type To of the same signedness.
template <class To, class From>
To saturate(From value, uint8_t& vxsat) {
    if (value > std::numeric_limits<To>::max()) return vxsat = 1, std::numeric_limits<To>::max();
    if (value < std::numeric_limits<To>::min()) return vxsat = 1, std::numeric_limits<To>::min();
    return static_cast<To>(value);
}

}  // namespace doppel::isa::riscv::vector
