// Products of 64-bit polynomials over GF(2): multiplication without carries.
// Source: RISC-V unprivileged manual, "Zbc" (clmul, clmulh, clmulr).
#pragma once

#include <bit>
#include <cstdint>

namespace doppel::isa::crypto {

constexpr uint64_t carry_less_low(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (; b != 0; b &= b - 1) product ^= a << std::countr_zero(b);
    return product;
}

// Bits 127 to 64.
constexpr uint64_t carry_less_high(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (b &= ~uint64_t{1}; b != 0; b &= b - 1) product ^= a >> (64 - std::countr_zero(b));
    return product;
}

// Bits 126 to 63: the product of the operands with their bits reversed, reversed.
constexpr uint64_t carry_less_reversed(uint64_t a, uint64_t b) {
    return carry_less_high(a, b) << 1 | carry_less_low(a, b) >> 63;
}

}  // namespace doppel::isa::crypto
