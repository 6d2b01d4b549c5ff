// The --net options: what a machine's cards are plugged into.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "network/forward.h"

namespace doppel::machine {

enum class NetKind { kUser };

struct NetChoice {
    NetKind kind = NetKind::kUser;
    bool restricted = false;  // nothing outside is reached
    bool operator==(const NetChoice&) const = default;
};
inline constexpr size_t kMaxNets = 4;
inline constexpr size_t kMaxForwards = 64;

// user[,restrict]. Errors are of kind usage and name --net.
Result<NetChoice> net_from(std::string_view text);
std::string text_of(const NetChoice& net);
// One --publish option: [ADDR:]HOST:GUEST[/udp]. Errors are of kind usage and name it.
Result<network::Forward> publish_from(std::string_view text);

}  // namespace doppel::machine
