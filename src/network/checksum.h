// The Internet's checksum (RFC 1071).
#pragma once

#include <cstdint>
#include <span>

namespace doppel::network {

// Of the bytes as 16-bit numbers in network order, one's complement, not inverted; an odd byte counts as if a zero
// followed.
uint16_t ones_sum(std::span<const uint8_t> bytes);

// Does what Offload::needs_checksum leaves to do: the sum of all from `start` on, in which the field at `start` +
// `offset` counts with what it holds, goes there, inverted. Both bytes of it lie in `frame`.
void complete_checksum(std::span<uint8_t> frame, uint16_t start, uint16_t offset);

}  // namespace doppel::network
