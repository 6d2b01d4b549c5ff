// What one byte adds in a round of SM4 and of its key schedule: the S-box, then the linear transformation.
// Source: GB/T 32907-2016 (SM4), 6.2 and 7.3; RISC-V unprivileged manual, sm4ed and sm4ks.
//
// Words have the order of little-endian loads, so the byte is the standard's first one. For the others the result is
// rotated left by as many bytes. The functions use tables: their time depends on the data.
#pragma once

#include <cstdint>

namespace doppel::isa::crypto {

uint32_t sm4_round(uint8_t byte);
uint32_t sm4_key_round(uint8_t byte);

}  // namespace doppel::isa::crypto
