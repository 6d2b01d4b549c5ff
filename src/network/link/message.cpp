#include "network/link/message.h"

#include <cstring>

namespace doppel::network::link {

namespace {

struct Raw {
    uint8_t needs_checksum, checksum_right, ecn, segmentation;
    uint16_t checksum_start, checksum_offset, segment_bytes, header_bytes;
    uint32_t reserved;
};
static_assert(sizeof(Raw) == kHeaderBytes);

bool is_possible(const Offload& offload, size_t bytes) {
    constexpr size_t kSum = 2;
    if (offload.needs_checksum && size_t{offload.checksum_start} + offload.checksum_offset + kSum > bytes) return false;
    return offload.segmentation == Segmentation::kNone || (offload.needs_checksum && offload.segment_bytes != 0);
}

}  // namespace

Header header_of(const Offload& offload) {
    const Raw raw{.needs_checksum = offload.needs_checksum,
                  .checksum_right = offload.checksum_right,
                  .ecn = offload.ecn,
                  .segmentation = static_cast<uint8_t>(offload.segmentation),
                  .checksum_start = offload.checksum_start,
                  .checksum_offset = offload.checksum_offset,
                  .segment_bytes = offload.segment_bytes,
                  .header_bytes = offload.header_bytes,
                  .reserved = 0};
    Header header;
    std::memcpy(header.data(), &raw, sizeof raw);
    return header;
}

std::optional<Frame> frame_of(std::span<const uint8_t> message) {
    if (message.size() < kHeaderBytes + kMinFrame || message.size() > kMaxMessage) return std::nullopt;
    Raw raw;
    std::memcpy(&raw, message.data(), sizeof raw);
    if (raw.segmentation > static_cast<uint8_t>(Segmentation::kUdpFragments)) return std::nullopt;
    const Offload offload{.needs_checksum = raw.needs_checksum != 0,
                          .checksum_right = raw.checksum_right != 0,
                          .checksum_start = raw.checksum_start,
                          .checksum_offset = raw.checksum_offset,
                          .segmentation = static_cast<Segmentation>(raw.segmentation),
                          .ecn = raw.ecn != 0,
                          .segment_bytes = raw.segment_bytes,
                          .header_bytes = raw.header_bytes};
    const auto bytes = message.subspan(kHeaderBytes);
    if (!is_possible(offload, bytes.size())) return std::nullopt;
    return Frame{offload, bytes};
}

}  // namespace doppel::network::link
