// A network of one guest behind the user's own sockets: no root, no interface of the host (libslirp). IPv4 and IPv6,
// DHCP, router advertisements, a forwarder of DNS, pings where the host lets users send them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/forward.h"

namespace doppel::network::user {

struct NatOptions {
    bool restricted = false;  // nothing outside is reached; forwards work
    std::vector<Forward> forwards;
    std::array<uint8_t, 3> subnet{10, 0, 2};        // of 256 addresses
    std::string prefix6 = "fd00:646f:7070:656c::";  // of 64 bits
};

// What the guest sees: the addresses that QEMU's users know.
inline constexpr const char* kGuestAddress = "10.0.2.15";
inline constexpr const char* kGatewayAddress = "10.0.2.2";
inline constexpr const char* kNameServerAddress = "10.0.2.3";

// More ports while it runs: over a socket that keeps messages, "+FORWARD ADDRESS" lets one lead to an address of the
// subnet and "-FORWARD" takes it away. Each is answered as link::tell_ready and link::tell_failed do.

// Serves `link` (network/link/message.h) on the calling thread until its other end is closed. Ports are taken first:
// an error is theirs. `ready` is called once they are.
Result<> run_nat(const NatOptions& options, UniqueFd link, const std::function<void()>& ready, UniqueFd control = {});

}  // namespace doppel::network::user
