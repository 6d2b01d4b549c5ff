#include "network/checksum.h"

#include <cstring>

#include "base/byte_order.h"

namespace doppel::network {

// One's complement sums do not mind the order of bytes (RFC 1071, 2 (B)): the host's words are added, and the result
// is turned round.
uint16_t ones_sum(std::span<const uint8_t> bytes) {
    uint64_t sum = 0;
    size_t at = 0;
    for (; at + sizeof(uint32_t) <= bytes.size(); at += sizeof(uint32_t)) sum += load_le<uint32_t>(&bytes[at]);
    for (unsigned shift = 0; at < bytes.size(); at++, shift += 8) sum += uint64_t{bytes[at]} << shift;
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(sum << 8 | sum >> 8);
}

void complete_checksum(std::span<uint8_t> frame, uint16_t start, uint16_t offset) {
    const uint16_t sum = static_cast<uint16_t>(~ones_sum(frame.subspan(start)));
    const size_t at = size_t{start} + offset;
    frame[at] = static_cast<uint8_t>(sum >> 8);
    frame[at + 1] = static_cast<uint8_t>(sum);
}

}  // namespace doppel::network
