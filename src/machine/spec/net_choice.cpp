#include "machine/spec/net_choice.h"

namespace doppel::machine {

namespace {

constexpr std::string_view kUser = "user", kRestrict = ",restrict";

}  // namespace

Result<NetChoice> net_from(std::string_view text) {
    NetChoice net;
    if (text.ends_with(kRestrict)) {
        net.restricted = true;
        text.remove_suffix(kRestrict.size());
    }
    if (text == kUser) return net;
    return fail(Error::usage("--net", std::string(text) + " is no network", "give user, user,restrict or none"));
}

std::string text_of(const NetChoice& net) {
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
