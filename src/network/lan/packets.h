// The packets that a network itself reads and sends: UDP over IPv4 and IPv6, ARP, ICMPv6.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "network/lan/ethernet.h"

namespace doppel::network::lan {

using Ipv4 = std::array<uint8_t, 4>;
using Ipv6 = std::array<uint8_t, 16>;
using Bytes = std::vector<uint8_t>;

inline constexpr Ipv4 kEveryone4{255, 255, 255, 255};

struct Udp {
    bool ipv6 = false;
    Ipv4 source4{}, destination4{};
    Ipv6 source6{}, destination6{};
    uint16_t source_port = 0, destination_port = 0;
    std::span<const uint8_t> payload;  // in the frame
};
// Of a frame without tag; nullopt: it is none, or a fragment, or cut short. Sums are not looked at.
std::optional<Udp> udp_from(std::span<const uint8_t> frame);
// A whole frame, sums done.
Bytes make_udp(const MacAddress& to, const MacAddress& from, const Udp& udp);
// The same way back.
Udp answer_to(const Udp& request, std::span<const uint8_t> payload);

struct ArpRequest {
    MacAddress sender;
    Ipv4 sender_address, wanted;
};
std::optional<ArpRequest> arp_request_from(std::span<const uint8_t> frame);
Bytes make_arp_answer(const ArpRequest& request, const MacAddress& has);

struct Icmp6 {
    Ipv6 source{}, destination{};
    uint8_t type = 0;
    std::span<const uint8_t> body;  // behind type, code and sum
};
std::optional<Icmp6> icmp6_from(std::span<const uint8_t> frame);
Bytes make_icmp6(const MacAddress& to, const MacAddress& from, const Icmp6& icmp);

void append(Bytes& to, std::span<const uint8_t> bytes);
template <class T>
void append_be(Bytes& to, T value) {
    for (size_t i = sizeof(T); i-- > 0;) to.push_back(static_cast<uint8_t>(value >> 8 * i));
}

}  // namespace doppel::network::lan
