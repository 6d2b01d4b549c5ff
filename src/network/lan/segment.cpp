#include "network/lan/segment.h"

#include <netinet/in.h>

#include <algorithm>
#include <vector>

#include "base/byte_order.h"
#include "network/checksum.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kIpv4LengthAt = 2, kIpv4IdAt = 4, kIpv4SumAt = 10, kIpv4AddressesAt = 12, kIpv4Addresses = 8;
constexpr size_t kIpv6LengthAt = 4, kIpv6AddressesAt = 8, kIpv6Addresses = 32, kIpv6Bytes = 40;
constexpr size_t kTcpSequenceAt = 4, kTcpFlagsAt = 13, kUdpLengthAt = 4, kTcpSumAt = 16, kUdpSumAt = 6;
constexpr uint8_t kFin = 1, kPush = 8, kCwr = 0x80;

uint16_t add(uint32_t a, uint32_t b) {
    const uint32_t sum = a + b;
    return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

// RFC 793, 3.1; RFC 8200, 8.1.
void sum_transport(std::span<uint8_t> packet, const Layout& layout) {
    const auto addresses = layout.ipv6 ? packet.subspan(layout.ip + kIpv6AddressesAt, kIpv6Addresses)
                                       : packet.subspan(layout.ip + kIpv4AddressesAt, kIpv4Addresses);
    const auto length = static_cast<uint32_t>(packet.size() - layout.transport);
    uint16_t pseudo = add(ones_sum(addresses), layout.tcp ? IPPROTO_TCP : IPPROTO_UDP);
    pseudo = add(pseudo, length & 0xffff);
    pseudo = add(pseudo, length >> 16);
    const size_t at = layout.tcp ? kTcpSumAt : kUdpSumAt;
    store_be(&packet[layout.transport + at], pseudo);
    complete_checksum(packet, static_cast<uint16_t>(layout.transport), static_cast<uint16_t>(at));
    // RFC 768: a sum of zero is sent as ones.
    if (!layout.tcp && load_be<uint16_t>(&packet[layout.transport + at]) == 0)
        store_be<uint16_t>(&packet[layout.transport + at], 0xffff);
}

void set_lengths(std::span<uint8_t> packet, const Layout& layout, size_t number) {
    if (layout.ipv6) {
        store_be(&packet[layout.ip + kIpv6LengthAt], static_cast<uint16_t>(packet.size() - layout.ip - kIpv6Bytes));
    } else {
        uint8_t* ip = &packet[layout.ip];
        store_be(ip + kIpv4LengthAt, static_cast<uint16_t>(packet.size() - layout.ip));
        store_be(ip + kIpv4IdAt, static_cast<uint16_t>(load_be<uint16_t>(ip + kIpv4IdAt) + number));
        store_be<uint16_t>(ip + kIpv4SumAt, 0);
        complete_checksum(packet.first(layout.transport), static_cast<uint16_t>(layout.ip), kIpv4SumAt);
    }
    if (!layout.tcp)
        store_be(&packet[layout.transport + kUdpLengthAt], static_cast<uint16_t>(packet.size() - layout.transport));
}

}  // namespace

void finish(const Frame& frame, const std::function<void(std::span<const uint8_t>)>& take) {
    const Offload& offload = frame.offload;
    const auto layout = offload.segmentation != Segmentation::kNone ? layout_of(frame) : std::nullopt;
    std::vector<uint8_t> packet;
    if (!layout) {
        if (!offload.needs_checksum) return take(frame.bytes);
        packet.assign(frame.bytes.begin(), frame.bytes.end());
        complete_checksum(packet, offload.checksum_start, offload.checksum_offset);
        return take(packet);
    }
    const auto headers = frame.bytes.first(layout->payload);
    const auto payload = frame.bytes.subspan(layout->payload);
    for (size_t at = 0, number = 0; number == 0 || at < payload.size(); number++) {
        const auto part = payload.subspan(at, std::min<size_t>(offload.segment_bytes, payload.size() - at));
        packet.assign(headers.begin(), headers.end());
        packet.insert(packet.end(), part.begin(), part.end());
        set_lengths(packet, *layout, number);
        if (layout->tcp) {
            uint8_t* tcp = &packet[layout->transport];
            store_be(tcp + kTcpSequenceAt,
                     static_cast<uint32_t>(load_be<uint32_t>(tcp + kTcpSequenceAt) + static_cast<uint32_t>(at)));
            const bool last = at + part.size() >= payload.size();
            if (!last) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~(kFin | kPush));
            if (number != 0) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~kCwr);
        }
        sum_transport(packet, *layout);
        take(packet);
        at += part.size();
    }
}

}  // namespace doppel::network::lan
