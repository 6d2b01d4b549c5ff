// Neighbour discovery of IPv6 (RFC 4861), as far as the network itself takes part in it.
#pragma once

#include <optional>
#include <string>

#include "network/lan/packets.h"

namespace doppel::network::lan::neighbours {

inline constexpr uint8_t kRouterSolicitation = 133, kRouterAdvertisement = 134, kNeighbourSolicitation = 135;

struct Advertisement {
    bool router = false;  // there is a way out
    Ipv6 prefix{};        // of 64 bits: addresses are made with it, and are on this link
    std::optional<Ipv6> name_server;
    std::string domain;
    MacAddress mac{};  // of who sends it
};
// The body of kRouterAdvertisement (4.2; RFC 8106).
Bytes make_advertisement(const Advertisement& advertisement);

// The address that a solicitation without source wants for itself (RFC 4862, 5.4); nullopt: it is none.
std::optional<Ipv6> claimed_address(const Icmp6& icmp);

}  // namespace doppel::network::lan::neighbours
