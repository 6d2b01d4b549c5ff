#include "network/mac_address.h"

#include <fmt/format.h>

#include <charconv>

#include "base/hash.h"

namespace doppel::network {

std::optional<MacAddress> mac_from(std::string_view text) {
    constexpr size_t kDigits = 2, kHexadecimal = 16;
    MacAddress address{};
    if (text.size() != address.size() * (kDigits + 1) - 1) return std::nullopt;
    for (size_t i = 0; i < address.size(); i++) {
        const std::string_view part = text.substr(i * (kDigits + 1), kDigits);
        const auto [end, error] = std::from_chars(part.data(), part.data() + kDigits, address[i], kHexadecimal);
        if (error != std::errc() || end != part.data() + kDigits) return std::nullopt;
        if (i + 1 < address.size() && part.data()[kDigits] != ':') return std::nullopt;
    }
    return address;
}

std::string text_of(const MacAddress& a) {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", a[0], a[1], a[2], a[3], a[4], a[5]);
}

MacAddress mac_for(std::string_view text) {
    const uint64_t hash = hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    MacAddress address{};
    for (size_t i = 0; i < address.size(); i++) address[i] = static_cast<uint8_t>(hash >> 8 * i);
    address[0] = static_cast<uint8_t>((address[0] & 0xfc) | 2);
    return address;
}

}  // namespace doppel::network
