#include "network/forward.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace doppel::network {

namespace {

std::optional<uint16_t> port_from(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

bool is_address(const std::string& text, int family) {
    in6_addr ignored;
    return inet_pton(family, text.c_str(), &ignored) == 1;
}

}  // namespace

std::optional<Forward> forward_from(std::string_view text) {
    Forward forward;
    for (std::string_view protocol : {std::string_view("/udp"), std::string_view("/tcp")}) {
        if (!text.ends_with(protocol)) continue;
        forward.udp = protocol == "/udp";
        text.remove_suffix(protocol.size());
        break;
    }
    const size_t last = text.rfind(':');
    if (last == text.npos) return std::nullopt;
    const auto guest = port_from(text.substr(last + 1));
    text = text.substr(0, last);
    const size_t colon = text.rfind(':');
    const auto host = port_from(colon == text.npos ? text : text.substr(colon + 1));
    if (!guest || !host) return std::nullopt;
    forward.host_port = *host;
    forward.guest_port = *guest;
    if (colon == text.npos) return forward;
    const std::string_view address = text.substr(0, colon);
    const bool in_brackets = address.size() > 2 && address.front() == '[' && address.back() == ']';
    forward.address = in_brackets ? address.substr(1, address.size() - 2) : address;
    if (!is_address(forward.address, in_brackets ? AF_INET6 : AF_INET)) return std::nullopt;
    return forward;
}

std::string text_of(const Forward& forward) {
    const bool is_ipv6 = forward.address.find(':') != std::string::npos;
    const std::string address = forward.address.empty() ? ""
                                : is_ipv6               ? "[" + forward.address + "]:"
                                                        : forward.address + ":";
    return fmt::format("{}{}:{}{}", address, forward.host_port, forward.guest_port, forward.udp ? "/udp" : "");
}

}  // namespace doppel::network
