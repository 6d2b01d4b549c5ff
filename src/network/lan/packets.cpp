#include "network/lan/packets.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/byte_order.h"
#include "network/checksum.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kIpAt = 14, kIpv4Bytes = 20, kIpv6Bytes = 40, kUdpBytes = 8, kIcmpHead = 4;
constexpr uint8_t kHops = 255;  // of neighbour discovery (RFC 4861, 4.1), and good for the rest

template <size_t N>
void copy(std::array<uint8_t, N>& to, const uint8_t* from) {
    std::copy_n(from, N, to.begin());
}

uint16_t type_of(std::span<const uint8_t> frame) {
    return frame.size() < kIpAt ? uint16_t{0} : load_be<uint16_t>(&frame[12]);
}

// What IPv4 carries by this protocol, as long as its header says.
std::optional<std::span<const uint8_t>> ipv4_content(std::span<const uint8_t> frame, uint8_t protocol) {
    if (type_of(frame) != kTypeIpv4 || frame.size() < kIpAt + kIpv4Bytes) return std::nullopt;
    const uint8_t* ip = &frame[kIpAt];
    const size_t head = size_t{ip[0]} % 16 * 4, total = load_be<uint16_t>(ip + 2);
    const bool fragment = (load_be<uint16_t>(ip + 6) & 0x3fff) != 0;
    if (ip[0] >> 4 != 4 || head < kIpv4Bytes || total < head || total > frame.size() - kIpAt || fragment ||
        ip[9] != protocol)
        return std::nullopt;
    return frame.subspan(kIpAt + head, total - head);
}

std::optional<std::span<const uint8_t>> ipv6_content(std::span<const uint8_t> frame, uint8_t protocol) {
    if (type_of(frame) != kTypeIpv6 || frame.size() < kIpAt + kIpv6Bytes) return std::nullopt;
    const uint8_t* ip = &frame[kIpAt];
    const size_t length = load_be<uint16_t>(ip + 4);
    if (ip[0] >> 4 != 6 || ip[6] != protocol || length > frame.size() - kIpAt - kIpv6Bytes) return std::nullopt;
    return frame.subspan(kIpAt + kIpv6Bytes, length);
}

Bytes start(const MacAddress& to, const MacAddress& from, uint16_t type) {
    Bytes frame(to.begin(), to.end());
    append(frame, from);
    append_be(frame, type);
    return frame;
}

void append_ipv6(Bytes& frame, const Ipv6& source, const Ipv6& destination, uint8_t protocol, size_t length) {
    append_be<uint32_t>(frame, 6u << 28);
    append_be(frame, static_cast<uint16_t>(length));
    frame.push_back(protocol);
    frame.push_back(kHops);
    append(frame, source);
    append(frame, destination);
}

// The sum of a packet from `at` on, with the addresses before it (RFC 8200, 8.1; RFC 768).
void complete(Bytes& frame, size_t at, size_t field, size_t addresses, uint8_t protocol) {
    uint32_t sum = ones_sum(std::span(frame).subspan(addresses, at - addresses));
    sum += protocol + static_cast<uint32_t>(frame.size() - at);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    store_be(&frame[at + field], static_cast<uint16_t>(sum));
    complete_checksum(frame, static_cast<uint16_t>(at), static_cast<uint16_t>(field));
    if (load_be<uint16_t>(&frame[at + field]) == 0) store_be<uint16_t>(&frame[at + field], 0xffff);
}

}  // namespace

void append(Bytes& to, std::span<const uint8_t> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

std::optional<Udp> udp_from(std::span<const uint8_t> frame) {
    Udp udp;
    auto content = ipv4_content(frame, IPPROTO_UDP);
    if (content) {
        copy(udp.source4, &frame[kIpAt + 12]);
        copy(udp.destination4, &frame[kIpAt + 16]);
    } else {
        content = ipv6_content(frame, IPPROTO_UDP);
        if (!content) return std::nullopt;
        udp.ipv6 = true;
        copy(udp.source6, &frame[kIpAt + 8]);
        copy(udp.destination6, &frame[kIpAt + 24]);
    }
    if (content->size() < kUdpBytes) return std::nullopt;
    const size_t length = load_be<uint16_t>(&(*content)[4]);
    if (length < kUdpBytes || length > content->size()) return std::nullopt;
    udp.source_port = load_be<uint16_t>(content->data());
    udp.destination_port = load_be<uint16_t>(&(*content)[2]);
    udp.payload = content->subspan(kUdpBytes, length - kUdpBytes);
    return udp;
}

Bytes make_udp(const MacAddress& to, const MacAddress& from, const Udp& udp) {
    Bytes frame = start(to, from, udp.ipv6 ? kTypeIpv6 : kTypeIpv4);
    const size_t length = kUdpBytes + udp.payload.size();
    if (udp.ipv6) {
        append_ipv6(frame, udp.source6, udp.destination6, IPPROTO_UDP, length);
    } else {
        append_be<uint16_t>(frame, 0x4500);
        append_be(frame, static_cast<uint16_t>(kIpv4Bytes + length));
        append_be<uint32_t>(frame, 0x4000);  // not to be cut
        frame.push_back(kHops);
        frame.push_back(IPPROTO_UDP);
        append_be<uint16_t>(frame, 0);
        append(frame, udp.source4);
        append(frame, udp.destination4);
        complete_checksum(frame, kIpAt, 10);
    }
    const size_t at = frame.size();
    append_be(frame, udp.source_port);
    append_be(frame, udp.destination_port);
    append_be(frame, static_cast<uint16_t>(length));
    append_be<uint16_t>(frame, 0);
    append(frame, udp.payload);
    complete(frame, at, 6, at - (udp.ipv6 ? 32 : 8), IPPROTO_UDP);
    return frame;
}

Udp answer_to(const Udp& request, std::span<const uint8_t> payload) {
    return {.ipv6 = request.ipv6,
            .source4 = request.destination4,
            .destination4 = request.source4,
            .source6 = request.destination6,
            .destination6 = request.source6,
            .source_port = request.destination_port,
            .destination_port = request.source_port,
            .payload = payload};
}

std::optional<ArpRequest> arp_request_from(std::span<const uint8_t> frame) {
    constexpr std::array<uint8_t, 8> kHead{0, 1, 8, 0, 6, 4, 0, 1};  // RFC 826: Ethernet, IPv4, a request
    constexpr size_t kArpBytes = 28;
    if (type_of(frame) != kTypeArp || frame.size() < kIpAt + kArpBytes ||
        !std::equal(kHead.begin(), kHead.end(), &frame[kIpAt]))
        return std::nullopt;
    ArpRequest request{};
    copy(request.sender, &frame[22]);
    copy(request.sender_address, &frame[28]);
    copy(request.wanted, &frame[38]);
    return request;
}

Bytes make_arp_answer(const ArpRequest& request, const MacAddress& has) {
    Bytes frame = start(request.sender, has, kTypeArp);
    append(frame, std::array<uint8_t, 8>{0, 1, 8, 0, 6, 4, 0, 2});
    append(frame, has);
    append(frame, request.wanted);
    append(frame, request.sender);
    append(frame, request.sender_address);
    return frame;
}

std::optional<Icmp6> icmp6_from(std::span<const uint8_t> frame) {
    const auto content = ipv6_content(frame, IPPROTO_ICMPV6);
    if (!content || content->size() < kIcmpHead) return std::nullopt;
    Icmp6 icmp;
    copy(icmp.source, &frame[kIpAt + 8]);
    copy(icmp.destination, &frame[kIpAt + 24]);
    icmp.type = content->front();
    icmp.body = content->subspan(kIcmpHead);
    return icmp;
}

Bytes make_icmp6(const MacAddress& to, const MacAddress& from, const Icmp6& icmp) {
    Bytes frame = start(to, from, kTypeIpv6);
    append_ipv6(frame, icmp.source, icmp.destination, IPPROTO_ICMPV6, kIcmpHead + icmp.body.size());
    const size_t at = frame.size();
    append_be(frame, static_cast<uint32_t>(icmp.type) << 24);
    append(frame, icmp.body);
    complete(frame, at, 2, at - 32, IPPROTO_ICMPV6);
    return frame;
}

}  // namespace doppel::network::lan
