// The steps of AES that processors have instructions for, on halves of its state.
// Source: FIPS 197, sections 4 and 5; RISC-V unprivileged manual, "Scalar & Entropy Source Instructions", aes64*.
//
// A state is two 64-bit words, columns 0 and 1 in `low`, columns 2 and 3 in `high`, a column's row 0 in its lowest
// byte: as little-endian loads of 16 bytes give them. A step returns columns 0 and 1 of the new state; the other half
// is the same step with `low` and `high` exchanged. The functions use tables: their time depends on the data.
#pragma once

#include <cstdint>

namespace doppel::isa::crypto {

uint64_t aes_encrypt_last(uint64_t low, uint64_t high);  // ShiftRows, SubBytes
uint64_t aes_encrypt(uint64_t low, uint64_t high);       // ShiftRows, SubBytes, MixColumns
uint64_t aes_decrypt_last(uint64_t low, uint64_t high);  // InvShiftRows, InvSubBytes
uint64_t aes_decrypt(uint64_t low, uint64_t high);       // InvShiftRows, InvSubBytes, InvMixColumns

uint64_t aes_inverse_mix_columns(uint64_t columns);
uint32_t aes_substitute_word(uint32_t word);  // SubWord of the key expansion

// Rcon of the key expansion, for round 1 at index 0.
inline constexpr unsigned kAesRoundConstants = 10;
uint32_t aes_round_constant(unsigned index);  // below kAesRoundConstants

}  // namespace doppel::isa::crypto
