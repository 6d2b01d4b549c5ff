#include "machine/spec/net_choice.h"

#include <algorithm>

namespace doppel::machine {

namespace {

constexpr std::string_view kUser = "user", kRestrict = ",restrict",
                           kSwitch = "switch:", kTap = "tap:", kBridge = "bridge:";

Result<NetChoice> interface_from(NetKind kind, std::string_view name) {
    constexpr size_t kMost = 15;  // IFNAMSIZ less its NUL
    const bool possible =
        !name.empty() && name.size() <= kMost && name != "." && name != ".." && std::ranges::all_of(name, [](char c) {
            return c > ' ' && c < 127 && c != '/' && c != ':' && c != '%' && c != ',';
        });
    if (possible) return NetChoice{.kind = kind, .name = std::string(name)};
    return fail(
        Error::usage("--net", std::string(name) + " is no name for an interface", "give at most 15 characters"));
}

Result<NetChoice> switch_from(std::string_view text) {
    const size_t comma = std::min(text.find(','), text.size());
    NetChoice net{.kind = NetKind::kSwitch, .name = std::string(text.substr(0, comma))};
    if (!network::lan::is_label(net.name))
        return fail(Error::usage("--net", net.name + " is no name for a network",
                                 "give letters, digits and hyphens, lower case, at most 63"));
    if (comma + 1 == text.size()) return fail(Error::usage("--net", "nothing follows the last comma", "leave it out"));
    DOPPEL_TRY(net.port, network::lan::port_options_from(text.substr(std::min(comma + 1, text.size()))));
    return net;
}

}  // namespace

Result<NetChoice> net_from(std::string_view text) {
    if (text.starts_with(kSwitch)) return switch_from(text.substr(kSwitch.size()));
    if (text.starts_with(kTap)) return interface_from(NetKind::kTap, text.substr(kTap.size()));
    if (text.starts_with(kBridge)) return interface_from(NetKind::kBridge, text.substr(kBridge.size()));
    NetChoice net;
    if (text.ends_with(kRestrict)) {
        net.restricted = true;
        text.remove_suffix(kRestrict.size());
    }
    if (text == kUser) return net;
    return fail(Error::usage("--net", std::string(text) + " is no network",
                             "give user, user,restrict, switch:NAME, tap:NAME, bridge:NAME or none"));
}

std::string text_of(const NetChoice& net) {
    if (net.kind == NetKind::kSwitch) {
        const std::string port = text_of(net.port);
        return std::string(kSwitch) + net.name + (port.empty() ? "" : "," + port);
    }
    if (is_tap(net)) return std::string(net.kind == NetKind::kTap ? kTap : kBridge) + net.name;
    std::string text(kUser);
    if (net.restricted) text += kRestrict;
    return text;
}

Result<network::Forward> publish_from(std::string_view text) {
    if (auto forward = network::forward_from(text)) return *forward;
    return fail(Error::usage("--publish", std::string(text) + " does not say which ports",
                             "give [ADDR:]HOST:GUEST[/udp], an IPv6 address in brackets"));
}

}  // namespace doppel::machine
