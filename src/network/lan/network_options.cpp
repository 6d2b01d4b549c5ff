#include "network/lan/network_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "network/lan/port_options.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kMaxInterface = 15;  // IFNAMSIZ less its NUL

uint64_t hash_of(std::string_view name) {
    return hash64({reinterpret_cast<const uint8_t*>(name.data()), name.size()});
}

bool is_private(const std::array<uint8_t, 4>& a) {
    return a[0] == 10 || (a[0] == 172 && a[1] >= 16 && a[1] < 32) || (a[0] == 192 && a[1] == 168);
}

std::string_view word_of(Uplink uplink) {
    return uplink == Uplink::kNat ? "nat" : uplink == Uplink::kTap ? "tap" : "none";
}

}  // namespace

NetworkOptions default_network(std::string_view name) {
    const uint64_t hash = hash_of(name);
    constexpr uint8_t kLowest = 64;  // far from 10.0.x.y, which many networks are
    return {.name = std::string(name),
            .subnet = {10, static_cast<uint8_t>(kLowest + hash % 128), static_cast<uint8_t>(hash >> 8)}};
}

Result<std::array<uint8_t, 3>> subnet_from(std::string_view text) {
    constexpr std::string_view kBits = "/24";
    std::array<uint8_t, 4> address{};
    const bool ends = text.ends_with(kBits);
    const std::string front(text.substr(0, text.size() - (ends ? kBits.size() : 0)));
    if (!ends || inet_pton(AF_INET, front.c_str(), address.data()) != 1 || address[3] != 0 || !is_private(address))
        return fail(Error::usage("--subnet", std::string(text) + " is no subnet for a network",
                                 "give 256 private addresses, like 10.20.30.0/24"));
    return std::array<uint8_t, 3>{address[0], address[1], address[2]};
}

std::string subnet_text(const NetworkOptions& options) {
    return text_of_ipv4(address_in(options, 0)) + "/24";
}

std::array<uint8_t, 4> address_in(const NetworkOptions& options, uint8_t number) {
    return {options.subnet[0], options.subnet[1], options.subnet[2], number};
}

std::string text_of_ipv4(const std::array<uint8_t, 4>& a) {
    return fmt::format("{}.{}.{}.{}", a[0], a[1], a[2], a[3]);
}

std::array<uint8_t, 16> prefix6(const NetworkOptions& options) {
    const uint64_t hash = hash_of(options.name);
    return {0xfd, 0, 0x64, 0x6f, 0x70, 0x70, static_cast<uint8_t>(hash >> 16), static_cast<uint8_t>(hash >> 24)};
}

std::string text_of_ipv6(const std::array<uint8_t, 16>& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, address.data(), text.data(), text.size());
    return text.data();
}

std::string to_json(const NetworkOptions& options) {
    return nlohmann::json{{"name", options.name},
                          {"kept", options.kept},
                          {"uplink", word_of(options.uplink)},
                          {"tap", options.tap},
                          {"restricted", options.restricted},
                          {"services", options.services},
                          {"subnet", subnet_text(options)}}
        .dump();
}

Result<NetworkOptions> network_from_json(std::string_view text) {
    using Json = nlohmann::json;
    const auto wrong = [](const char* why) {
        return fail(Error{"read the network's definition", "", why, "remove the network and create it again"});
    };
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return wrong("it is no object");
    const auto string = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto flag = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_boolean() && found->get<bool>();
    };
    NetworkOptions options = default_network(string("name"));
    if (!is_label(options.name)) return wrong("its name is none");
    options.kept = flag("kept");
    options.restricted = flag("restricted");
    options.services = flag("services");
    options.tap = string("tap");
    const std::string uplink = string("uplink");
    if (uplink != "nat" && uplink != "tap" && uplink != "none") return wrong("its uplink is none");
    options.uplink = uplink == "nat" ? Uplink::kNat : uplink == "tap" ? Uplink::kTap : Uplink::kNone;
    if (options.uplink == Uplink::kTap && (options.tap.empty() || options.tap.size() > kMaxInterface))
        return wrong("its interface has no name");
    DOPPEL_TRY(options.subnet, subnet_from(string("subnet")));
    return options;
}

}  // namespace doppel::network::lan
