// How a member is plugged into a switch: what stands behind `--net switch:NAME`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "network/lan/vlan.h"
#include "network/mac_address.h"

namespace doppel::network::lan {

struct PortOptions {
    Vlans vlans;
    std::string name;               // which the network knows the member by; empty: the instance's
    std::optional<MacAddress> mac;  // the card's; none: made from the name
    uint64_t rate = 0;              // bytes a second, each way; 0: no limit
    bool pinned = false;            // frames with another source address are dropped
    bool isolated = false;          // no frames to and from other isolated ports
    bool operator==(const PortOptions&) const = default;
};

// vlan=N | trunk=N[-N][+...][,native=N], name=NAME, mac=ADDRESS, rate=SIZE, pin, isolated, with commas between; empty:
// as it stands above. Errors are of kind usage and name --net.
Result<PortOptions> port_options_from(std::string_view text);
using network::text_of;
std::string text_of(const PortOptions& options);

// Of a network or a member: a label of DNS (RFC 1123, 2.1), at most 63 letters, digits and hyphens, lower case.
bool is_label(std::string_view text);
// The nearest one to an instance's name; empty: none.
std::string label_of(std::string_view name);

}  // namespace doppel::network::lan
