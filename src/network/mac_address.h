// A card's address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doppel::network {

using MacAddress = std::array<uint8_t, 6>;

inline constexpr MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

constexpr bool is_group(const MacAddress& address) {
    return (address[0] & 1) != 0;
}

// Six numbers of two hexadecimal digits, with colons between; nullopt: it is not that.
std::optional<MacAddress> mac_from(std::string_view text);
std::string text_of(const MacAddress& address);

// Locally administered, of one card: always the same for the same text.
MacAddress mac_for(std::string_view text);

}  // namespace doppel::network
