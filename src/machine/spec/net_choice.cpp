#include "machine/spec/net_choice.h"

#include <algorithm>

namespace doppel::machine {

namespace {

constexpr std::string_view kUser = "user", kRestrict = ",restrict", kSwitch = "switch:";

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
    NetChoice net;
    if (text.ends_with(kRestrict)) {
        net.restricted = true;
        text.remove_suffix(kRestrict.size());
    }
    if (text == kUser) return net;
    return fail(
        Error::usage("--net", std::string(text) + " is no network", "give user, user,restrict, switch:NAME or none"));
}

std::string text_of(const NetChoice& net) {
    if (net.kind == NetKind::kSwitch) {
        const std::string port = text_of(net.port);
        return std::string(kSwitch) + net.name + (port.empty() ? "" : "," + port);
    }
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
