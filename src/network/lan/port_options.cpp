#include "network/lan/port_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/sizes.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kMaxLabel = 63;

Error wrong(std::string why, std::string cure) {
    return Error::usage("--net", std::move(why), std::move(cure));
}

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

Result<> take(std::string_view key, std::string_view value, PortOptions& options) {
    if (key == "name") {
        if (!is_label(value))
            return fail(wrong(std::string(value) + " is no name for a member",
                              "give letters, digits and hyphens, lower case, at most 63"));
        options.name = value;
    } else if (key == "mac") {
        options.mac = mac_from(value);
        if (!options.mac || is_group(*options.mac) || *options.mac == MacAddress{})
            return fail(wrong(std::string(value) + " is no card's address", "give one like 02:00:00:00:00:01"));
    } else if (key == "rate") {
        DOPPEL_TRY(options.rate, parse_size(value, "--net"));
        if (options.rate == 0) return fail(wrong("a rate of 0 lets nothing through", "leave it out for no limit"));
    } else {
        return fail(wrong(std::string(key) + " is nothing that a switch's port has",
                          "give vlan=, trunk=, native=, name=, mac=, rate=, pin or isolated"));
    }
    return {};
}

}  // namespace

Result<PortOptions> port_options_from(std::string_view text) {
    PortOptions options;
    std::set<std::string_view> seen;
    std::optional<uint16_t> native;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
        const size_t equals = part.find('=');
        const std::string_view key = part.substr(0, equals);
        const std::string_view value = equals == part.npos ? std::string_view() : part.substr(equals + 1);
        if (!seen.insert(key).second) return fail(wrong(std::string(key) + " is given twice", "leave one of them out"));
        if (part == "pin") {
            options.pinned = true;
        } else if (part == "isolated") {
            options.isolated = true;
        } else if (key == "vlan" || key == "native") {
            const auto vlan = vlan_from(value);
            if (!vlan) return fail(wrong(std::string(value) + " is no VLAN", "give 1 to 4094"));
            if (key == "vlan") options.vlans = Vlans::access(*vlan);
            if (key == "native") native = vlan;
        } else if (key == "trunk") {
            const auto vlans = Vlans::trunk(value);
            if (!vlans) return fail(wrong(std::string(value) + " are no VLANs", "give them like 10+20-29"));
            options.vlans = *vlans;
        } else {
            DOPPEL_CHECK(take(key, value, options));
        }
    }
    if (seen.contains("vlan") && seen.contains("trunk"))
        return fail(wrong("a port is in one VLAN or a trunk", "leave out vlan= or trunk="));
    if (native && !seen.contains("trunk")) return fail(wrong("native= belongs to a trunk", "add trunk="));
    if (native) options.vlans.set_native(*native);
    return options;
}

std::string text_of(const PortOptions& options) {
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ",") + part; };
    const Vlans& vlans = options.vlans;
    if (vlans.is_trunk()) {
        add("trunk=" + vlans.text());
        if (vlans.untagged() != 0) add(fmt::format("native={}", vlans.untagged()));
    } else if (vlans.untagged() != kDefaultVlan) {
        add(fmt::format("vlan={}", vlans.untagged()));
    }
    if (!options.name.empty()) add("name=" + options.name);
    if (options.mac) add("mac=" + text_of(*options.mac));
    if (options.rate != 0) add("rate=" + format_size(options.rate));
    if (options.pinned) add("pin");
    if (options.isolated) add("isolated");
    return text;
}

bool is_label(std::string_view text) {
    if (text.empty() || text.size() > kMaxLabel || text.front() == '-' || text.back() == '-') return false;
    return std::ranges::all_of(text, [](char c) { return is_plain(c) || c == '-'; });
}

std::string label_of(std::string_view name) {
    std::string label;
    for (char c : name.substr(0, kMaxLabel)) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        label += is_plain(lower) ? lower : '-';
    }
    while (label.ends_with('-')) label.pop_back();
    return is_label(label) ? label : std::string();
}

}  // namespace doppel::network::lan
