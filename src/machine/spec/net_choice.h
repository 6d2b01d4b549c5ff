// The --net options: what a machine's cards are plugged into.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "network/forward.h"
#include "network/lan/port_options.h"

namespace doppel::machine {

enum class NetKind { kUser, kSwitch, kTap, kBridge };

struct NetChoice {
    NetKind kind = NetKind::kUser;
    bool restricted = false;         // of kUser: nothing outside is reached
    std::string name;                // of kSwitch: the network's; of kTap and kBridge: the host's interface
    network::lan::PortOptions port;  // of kSwitch
    bool operator==(const NetChoice&) const = default;
};
// An interface of the host is opened for it.
inline bool is_tap(const NetChoice& net) {
    return net.kind == NetKind::kTap || net.kind == NetKind::kBridge;
}
inline constexpr size_t kMaxNets = 4;
inline constexpr size_t kMaxForwards = 64;

// user[,restrict], switch:NAME[,...] (network/lan/port_options.h), tap:NAME, bridge:NAME. Errors are of kind usage and
// name --net.
Result<NetChoice> net_from(std::string_view text);
std::string text_of(const NetChoice& net);
// One --publish option: [ADDR:]HOST:GUEST[/udp]. Errors are of kind usage and name it.
Result<network::Forward> publish_from(std::string_view text);

}  // namespace doppel::machine
