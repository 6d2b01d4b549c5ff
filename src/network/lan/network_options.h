// What a network is made with: `doppel network create`, or nothing at all.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::network::lan {

enum class Uplink { kNone, kNat, kTap };

struct NetworkOptions {
    std::string name;
    bool kept = false;  // it has a definition, and its switch does not end by itself
    Uplink uplink = Uplink::kNat;
    std::string tap;                  // the host's interface of Uplink::kTap
    bool restricted = false;          // of the NAT: nothing outside is reached, published ports lead in
    bool services = true;             // DHCP, router advertisements and DNS
    std::array<uint8_t, 3> subnet{};  // IPv4, of 256 addresses
    bool operator==(const NetworkOptions&) const = default;
};

// A network's own addresses, whose last number is this.
inline constexpr uint8_t kGatewayNumber = 2, kServiceNumber = 3, kFirstGuestNumber = 16, kLastGuestNumber = 254;

// As everybody gets it who names it: its subnet comes of its name.
NetworkOptions default_network(std::string_view name);
// A.B.C.0/24 of private addresses (RFC 1918). Errors are of kind usage.
Result<std::array<uint8_t, 3>> subnet_from(std::string_view text);
std::string subnet_text(const NetworkOptions& options);
// An address in it, as text and as the packets have it.
std::array<uint8_t, 4> address_in(const NetworkOptions& options, uint8_t number);
std::string text_of_ipv4(const std::array<uint8_t, 4>& address);
// "fd00:646f:7070:HHHH::", of 64 bits: unique local (RFC 4193), of the name.
std::array<uint8_t, 16> prefix6(const NetworkOptions& options);
std::string text_of_ipv6(const std::array<uint8_t, 16>& address);

std::string to_json(const NetworkOptions& options);
// Nothing is taken on trust.
Result<NetworkOptions> network_from_json(std::string_view text);

}  // namespace doppel::network::lan
