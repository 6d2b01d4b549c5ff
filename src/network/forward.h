// A port of the host that leads to one of a guest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doppel::network {

struct Forward {
    std::string address;  // of the host, IPv4 or IPv6; empty: all of IPv4
    uint16_t host_port = 0;
    uint16_t guest_port = 0;
    bool udp = false;
    bool operator==(const Forward&) const = default;
};

// [ADDR:]HOST:GUEST[/udp], an IPv6 address in brackets; nullopt: it is not that.
std::optional<Forward> forward_from(std::string_view text);
std::string text_of(const Forward& forward);

}  // namespace doppel::network
