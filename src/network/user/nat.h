// A network of one guest behind the user's own sockets: no root, no interface of the host (libslirp). IPv4 and IPv6,
// DHCP, router advertisements, a forwarder of DNS, pings where the host lets users send them.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/forward.h"

namespace doppel::network::user {

struct NatOptions {
    bool restricted = false;  // nothing outside is reached; forwards work
    std::vector<Forward> forwards;
};

// What the guest sees: the addresses that QEMU's users know.
inline constexpr const char* kGuestAddress = "10.0.2.15";
inline constexpr const char* kGatewayAddress = "10.0.2.2";
inline constexpr const char* kNameServerAddress = "10.0.2.3";

// Serves `link` (network/link/message.h) on the calling thread until its other end is closed. Ports are taken first:
// an error is theirs. `ready` is called once they are.
Result<> run_nat(const NatOptions& options, UniqueFd link, const std::function<void()>& ready);

}  // namespace doppel::network::user
