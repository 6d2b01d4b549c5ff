// Arithmetic on bytes as polynomials over GF(2), modulo an irreducible polynomial of degree 8: what the S-boxes of AES
// and SM4 are made of. For tables that the compiler computes.
#pragma once

#include <cstdint>

namespace doppel::isa::crypto {

// `Polynomial` has bit 8 set.
template <unsigned Polynomial>
constexpr uint8_t gf_multiply(uint8_t a, uint8_t b) {
    unsigned product = 0, shifted = a;
    for (unsigned bit = 0; bit < 8; bit++) {
        if (b >> bit & 1) product ^= shifted;
        shifted <<= 1;
        if (shifted & 0x100) shifted ^= Polynomial;
    }
    return static_cast<uint8_t>(product);
}

// The multiplicative inverse; of 0, which has none, 0. It is the power 254.
template <unsigned Polynomial>
constexpr uint8_t gf_invert(uint8_t a) {
    uint8_t power = 1, square = a;
    for (unsigned i = 1; i < 8; i++) {
        square = gf_multiply<Polynomial>(square, square);
        power = gf_multiply<Polynomial>(power, square);
    }
    return power;
}

}  // namespace doppel::isa::crypto
