#include "network/lan/vlan.h"

#include <charconv>

namespace doppel::network::lan {

std::optional<uint16_t> vlan_from(std::string_view text) {
    uint16_t vlan = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), vlan);
    if (error != std::errc() || end != text.data() + text.size() || vlan == 0 || vlan > kMaxVlan) return std::nullopt;
    return vlan;
}

Vlans Vlans::access(uint16_t vlan) {
    Vlans made;
    made.members_.reset();
    made.members_.set(vlan);
    made.untagged_ = vlan;
    return made;
}

std::optional<Vlans> Vlans::trunk(std::string_view text) {
    Vlans made;
    made.members_.reset();
    made.untagged_ = 0;
    made.trunk_ = true;
    while (true) {
        const size_t plus = text.find('+');
        const std::string_view part = text.substr(0, plus);
        const size_t dash = part.find('-');
        const auto first = vlan_from(part.substr(0, dash));
        const auto last = dash == part.npos ? first : vlan_from(part.substr(dash + 1));
        if (!first || !last || *last < *first) return std::nullopt;
        for (uint16_t vlan = *first; vlan <= *last; vlan++) made.members_.set(vlan);
        if (plus == text.npos) return made;
        text.remove_prefix(plus + 1);
    }
}

void Vlans::set_native(uint16_t vlan) {
    members_.set(vlan);
    untagged_ = vlan;
}

std::optional<uint16_t> Vlans::classify(std::optional<uint16_t> tag) const {
    if (!tag || *tag == 0) return untagged_ != 0 ? std::optional(untagged_) : std::nullopt;  // 0: a priority alone
    if (!trunk_ || !has(*tag)) return std::nullopt;
    return *tag;
}

std::string Vlans::text() const {
    std::string text;
    for (unsigned vlan = 1; vlan <= kMaxVlan; vlan++) {
        if (!members_[vlan]) continue;
        unsigned last = vlan;
        while (last < kMaxVlan && members_[last + 1]) last++;
        text += (text.empty() ? "" : "+") + std::to_string(vlan);
        if (last > vlan) text += "-" + std::to_string(last);
        vlan = last;
    }
    return text;
}

}  // namespace doppel::network::lan
