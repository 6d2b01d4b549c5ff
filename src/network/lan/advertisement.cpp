#include "network/lan/advertisement.h"

#include <algorithm>

#include "network/lan/dns.h"

namespace doppel::network::lan::neighbours {

namespace {

constexpr uint8_t kSourceAddress = 1, kPrefix = 3, kNameServer = 25, kSearchList = 31;
constexpr uint8_t kHopLimit = 64, kOnLinkAndOwn = 0xc0, kPrefixBits = 64;
constexpr uint16_t kRouterSeconds = 1800;
constexpr uint32_t kValidSeconds = 86'400, kPreferredSeconds = 14'400;

}  // namespace

Bytes make_advertisement(const Advertisement& a) {
    Bytes body{kHopLimit, 0};
    append_be<uint16_t>(body, a.router ? kRouterSeconds : 0);
    append_be<uint64_t>(body, 0);  // the defaults of times
    body.insert(body.end(), {kSourceAddress, 1});
    append(body, a.mac);
    body.insert(body.end(), {kPrefix, 4, kPrefixBits, kOnLinkAndOwn});
    append_be(body, kValidSeconds);
    append_be(body, kPreferredSeconds);
    append_be<uint32_t>(body, 0);
    append(body, a.prefix);
    if (!a.name_server) return body;
    body.insert(body.end(), {kNameServer, 3, 0, 0});
    append_be(body, kValidSeconds);
    append(body, *a.name_server);
    Bytes domain = dns::encoded(a.domain);
    domain.resize((domain.size() + 7) / 8 * 8);
    body.insert(body.end(), {kSearchList, static_cast<uint8_t>(1 + domain.size() / 8), 0, 0});
    append_be(body, kValidSeconds);
    append(body, domain);
    return body;
}

std::optional<Ipv6> claimed_address(const Icmp6& icmp) {
    constexpr size_t kReserved = 4;
    if (icmp.type != kNeighbourSolicitation || icmp.source != Ipv6{} || icmp.body.size() < kReserved + sizeof(Ipv6))
        return std::nullopt;
    Ipv6 address{};
    std::copy_n(&icmp.body[kReserved], address.size(), address.begin());
    return address;
}

}  // namespace doppel::network::lan::neighbours
