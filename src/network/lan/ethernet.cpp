#include "network/lan/ethernet.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/byte_order.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kTypeAt = 12, kIpAt = 14;
constexpr size_t kIpv4Bytes = 20, kIpv6Bytes = 40, kTcpBytes = 20, kUdpBytes = 8;
constexpr size_t kTcpSumAt = 16, kUdpSumAt = 6, kTcpOffsetAt = 12;

// Of IPv4 without fragments, or IPv6 without extensions: what is cut is nothing else (virtio 1.2, 5.1.6.2).
std::optional<Layout> find_transport(std::span<const uint8_t> bytes) {
    Layout layout{.ip = kIpAt};
    const auto type = load_be<uint16_t>(&bytes[kTypeAt]);
    uint8_t protocol = 0;
    if (type == kTypeIpv4) {
        if (bytes.size() < kIpAt + kIpv4Bytes) return std::nullopt;
        const size_t length = size_t{bytes[kIpAt]} % 16 * 4;
        const bool fragment = (load_be<uint16_t>(&bytes[kIpAt + 6]) & 0x3fff) != 0;
        if (bytes[kIpAt] >> 4 != 4 || length < kIpv4Bytes || fragment) return std::nullopt;
        protocol = bytes[kIpAt + 9];
        layout.transport = kIpAt + length;
    } else if (type == kTypeIpv6) {
        if (bytes.size() < kIpAt + kIpv6Bytes || bytes[kIpAt] >> 4 != 6) return std::nullopt;
        protocol = bytes[kIpAt + 6];
        layout.ipv6 = true;
        layout.transport = kIpAt + kIpv6Bytes;
    } else {
        return std::nullopt;
    }
    layout.tcp = protocol == IPPROTO_TCP;
    if (!layout.tcp && protocol != IPPROTO_UDP) return std::nullopt;
    const size_t least = layout.tcp ? kTcpBytes : kUdpBytes;
    if (bytes.size() < layout.transport + least) return std::nullopt;
    const size_t length = layout.tcp ? size_t{bytes[layout.transport + kTcpOffsetAt]} / 16 * 4 : kUdpBytes;
    layout.payload = layout.transport + length;
    if (length < least || layout.payload > bytes.size()) return std::nullopt;
    return layout;
}

}  // namespace

Ethernet parse_ethernet(std::span<const uint8_t> frame) {
    Ethernet ethernet;
    const auto refuse = [&](Defect defect) {
        ethernet.defect = defect;
        return ethernet;
    };
    if (frame.size() < kMinFrame || frame.size() > kMaxFrame) return refuse(Defect::kLength);
    std::copy_n(frame.begin(), 6, ethernet.destination.begin());
    std::copy_n(frame.begin() + 6, 6, ethernet.source.begin());
    if (is_group(ethernet.source) || ethernet.source == MacAddress{}) return refuse(Defect::kAddress);
    ethernet.type = load_be<uint16_t>(&frame[kTypeAt]);
    if (ethernet.type != kTagType) return ethernet;
    if (frame.size() < kMinFrame + kTagBytes) return refuse(Defect::kTag);
    const uint16_t tag = load_be<uint16_t>(&frame[kTagAt + 2]) & 0xfff;
    if (tag == 0xfff) return refuse(Defect::kTag);
    ethernet.tag = tag;
    ethernet.priority = frame[kTagAt + 2] >> 4;
    ethernet.type = load_be<uint16_t>(&frame[kTagAt + kTagBytes]);
    return ethernet;
}

std::optional<Layout> layout_of(const Frame& frame) {
    const Offload& offload = frame.offload;
    const auto layout = find_transport(frame.bytes);
    if (!layout || offload.segment_bytes == 0 || !offload.needs_checksum) return std::nullopt;
    const bool fits = offload.segmentation == Segmentation::kTcp4   ? layout->tcp && !layout->ipv6
                      : offload.segmentation == Segmentation::kTcp6 ? layout->tcp && layout->ipv6
                      : offload.segmentation == Segmentation::kUdp  ? !layout->tcp
                                                                    : false;
    const size_t sum_at = layout->tcp ? kTcpSumAt : kUdpSumAt;
    if (!fits || offload.checksum_start != layout->transport || offload.checksum_offset != sum_at) return std::nullopt;
    return layout;
}

bool offload_is_sound(const Frame& frame) {
    const Offload& offload = frame.offload;
    if (offload.segmentation != Segmentation::kNone) return layout_of(frame).has_value();
    return !offload.needs_checksum ||
           (offload.checksum_start >= kIpAt &&
            size_t{offload.checksum_start} + offload.checksum_offset + 2 <= frame.bytes.size());
}

}  // namespace doppel::network::lan
