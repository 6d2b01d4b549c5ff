// DHCP for IPv4 (RFC 2131, 2132), as far as a network of known members needs it.
#pragma once

#include <optional>
#include <string>

#include "network/lan/packets.h"

namespace doppel::network::lan::dhcp {

inline constexpr uint16_t kServerPort = 67, kClientPort = 68;
inline constexpr uint32_t kLeaseSeconds = 3600;

enum class Kind : uint8_t {
    kDiscover = 1,
    kOffer = 2,
    kRequest = 3,
    kDecline = 4,
    kAck = 5,
    kNak = 6,
    kRelease = 7,
    kInform = 8
};

struct Request {
    Kind kind = Kind::kDiscover;
    uint32_t transaction = 0;
    bool broadcast = false;  // the client cannot take what is sent to its address
    Ipv4 client{};           // its address, if it has one
    MacAddress mac{};
    std::optional<Ipv4> wanted, server;
};
// Of a datagram to kServerPort; nullopt: no client's request of a kind that is known.
std::optional<Request> request_from(std::span<const uint8_t> payload);

struct Offer {
    Ipv4 address{}, server{}, name_server{};
    std::optional<Ipv4> gateway;
    std::string domain;
};
// `kind`: kOffer, kAck (without a lease to kInform), or kNak, which says nothing of the offer but its server.
Bytes make_answer(const Request& request, Kind kind, const Offer& offer);

}  // namespace doppel::network::lan::dhcp
