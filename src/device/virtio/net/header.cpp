#include "device/virtio/net/header.h"

#include "device/virtio/net/linux_virtio_net.h"

#include "base/byte_order.h"

namespace doppel::device::virtio::net {

namespace {

// 5.1.3; linux/virtio_net.h of 6.2 and later names them.
constexpr unsigned kGuestUso4 = 54, kGuestUso6 = 55, kHostUso = 56;
constexpr uint8_t kUdpSegmentation = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4

using network::Segmentation;

constexpr bool has(uint64_t features, unsigned number) {
    return (features >> number & 1) != 0;
}

constexpr uint64_t bit(unsigned number, bool wanted = true) {
    return wanted ? uint64_t{1} << number : 0;
}

std::optional<Segmentation> segmentation_from(uint8_t type) {
    switch (type) {
        case VIRTIO_NET_HDR_GSO_NONE:
            return Segmentation::kNone;
        case VIRTIO_NET_HDR_GSO_TCPV4:
            return Segmentation::kTcp4;
        case VIRTIO_NET_HDR_GSO_TCPV6:
            return Segmentation::kTcp6;
        case VIRTIO_NET_HDR_GSO_UDP:
            return Segmentation::kUdpFragments;
        case kUdpSegmentation:
            return Segmentation::kUdp;
        default:
            return std::nullopt;
    }
}

uint8_t type_of(Segmentation segmentation) {
    switch (segmentation) {
        case Segmentation::kNone:
            break;
        case Segmentation::kTcp4:
            return VIRTIO_NET_HDR_GSO_TCPV4;
        case Segmentation::kTcp6:
            return VIRTIO_NET_HDR_GSO_TCPV6;
        case Segmentation::kUdpFragments:
            return VIRTIO_NET_HDR_GSO_UDP;
        case Segmentation::kUdp:
            return kUdpSegmentation;
    }
    return VIRTIO_NET_HDR_GSO_NONE;
}

}  // namespace

network::Offloads sent_offloads(uint64_t features) {
    return {.checksum = has(features, VIRTIO_NET_F_CSUM),
            .tcp4 = has(features, VIRTIO_NET_F_HOST_TSO4),
            .tcp6 = has(features, VIRTIO_NET_F_HOST_TSO6),
            .ecn = has(features, VIRTIO_NET_F_HOST_ECN),
            .udp = has(features, kHostUso),
            .udp_fragments = has(features, VIRTIO_NET_F_HOST_UFO)};
}

network::Offloads received_offloads(uint64_t features) {
    return {.checksum = has(features, VIRTIO_NET_F_GUEST_CSUM),
            .tcp4 = has(features, VIRTIO_NET_F_GUEST_TSO4),
            .tcp6 = has(features, VIRTIO_NET_F_GUEST_TSO6),
            .ecn = has(features, VIRTIO_NET_F_GUEST_ECN),
            .udp = has(features, kGuestUso4) && has(features, kGuestUso6),
            .udp_fragments = has(features, VIRTIO_NET_F_GUEST_UFO)};
}

uint64_t sending_features(const network::Offloads& offloads) {
    return bit(VIRTIO_NET_F_CSUM, offloads.checksum) | bit(VIRTIO_NET_F_HOST_TSO4, offloads.tcp4) |
           bit(VIRTIO_NET_F_HOST_TSO6, offloads.tcp6) | bit(VIRTIO_NET_F_HOST_ECN, offloads.ecn) |
           bit(kHostUso, offloads.udp) | bit(VIRTIO_NET_F_HOST_UFO, offloads.udp_fragments);
}

uint64_t receiving_features() {
    return bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO4) | bit(VIRTIO_NET_F_GUEST_TSO6) |
           bit(VIRTIO_NET_F_GUEST_ECN) | bit(kGuestUso4) | bit(kGuestUso6) | bit(VIRTIO_NET_F_GUEST_UFO);
}

// 5.1.6.2: what is to be cut is to be summed, too.
std::optional<network::Offload> parse(std::span<const uint8_t, kHeaderBytes> raw, size_t length,
                                      const network::Offloads& negotiated) {
    static_assert(sizeof(virtio_net_hdr_v1) == kHeaderBytes);
    network::Offload offload;
    const uint8_t type = raw[offsetof(virtio_net_hdr_v1, gso_type)];
    const auto segmentation = segmentation_from(type & ~VIRTIO_NET_HDR_GSO_ECN);
    if (!segmentation) return std::nullopt;
    offload.segmentation = *segmentation;
    offload.needs_checksum = (raw[offsetof(virtio_net_hdr_v1, flags)] & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
    if (offload.needs_checksum) {
        offload.checksum_start = load_le<uint16_t>(&raw[offsetof(virtio_net_hdr_v1, csum_start)]);
        offload.checksum_offset = load_le<uint16_t>(&raw[offsetof(virtio_net_hdr_v1, csum_offset)]);
        if (size_t{offload.checksum_start} + offload.checksum_offset + sizeof(uint16_t) > length) return std::nullopt;
    }
    if (*segmentation != Segmentation::kNone) {
        offload.ecn = (type & VIRTIO_NET_HDR_GSO_ECN) != 0;
        offload.segment_bytes = load_le<uint16_t>(&raw[offsetof(virtio_net_hdr_v1, gso_size)]);
        offload.header_bytes = load_le<uint16_t>(&raw[offsetof(virtio_net_hdr_v1, hdr_len)]);
        if (offload.segment_bytes == 0 || !offload.needs_checksum) return std::nullopt;
        if (offload.header_bytes > length) offload.header_bytes = 0;
    }
    if (!negotiated.takes(offload)) return std::nullopt;
    return offload;
}

std::array<uint8_t, kHeaderBytes> header_of(const network::Offload& offload, uint16_t buffers) {
    std::array<uint8_t, kHeaderBytes> raw{};
    uint8_t& flags = raw[offsetof(virtio_net_hdr_v1, flags)];
    if (offload.needs_checksum) {
        flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        store_le(&raw[offsetof(virtio_net_hdr_v1, csum_start)], offload.checksum_start);
        store_le(&raw[offsetof(virtio_net_hdr_v1, csum_offset)], offload.checksum_offset);
    } else if (offload.checksum_right) {
        flags = VIRTIO_NET_HDR_F_DATA_VALID;
    }
    if (offload.segmentation != Segmentation::kNone) {
        raw[offsetof(virtio_net_hdr_v1, gso_type)] =
            static_cast<uint8_t>(type_of(offload.segmentation) | (offload.ecn ? VIRTIO_NET_HDR_GSO_ECN : 0));
        store_le(&raw[offsetof(virtio_net_hdr_v1, gso_size)], offload.segment_bytes);
        store_le(&raw[offsetof(virtio_net_hdr_v1, hdr_len)], offload.header_bytes);
    }
    store_le(&raw[offsetof(virtio_net_hdr_v1, num_buffers)], buffers);
    return raw;
}

}  // namespace doppel::device::virtio::net
