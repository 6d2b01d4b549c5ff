#include "network/lan/mac_table.h"

namespace doppel::network::lan {

uint64_t MacTable::key(const MacAddress& address, uint16_t vlan) {
    uint64_t key = vlan;
    for (uint8_t byte : address) key = key << 8 | byte;
    return key;
}

void MacTable::learn(const MacAddress& address, uint16_t vlan, PortId port, uint64_t now) {
    const uint64_t id = key(address, vlan);
    if (const auto found = entries_.find(id); found != entries_.end()) {
        Entry& entry = found->second;
        if (entry.port != port) {
            if (counts_[port] >= kMostOfAPort) return;
            counts_[entry.port]--;
            counts_[port]++;
            entry.port = port;
        }
        entry.seen = now;
        return;
    }
    if (counts_[port] >= kMostOfAPort || entries_.size() >= kMost) {
        sweep(now);
        if (counts_[port] >= kMostOfAPort || entries_.size() >= kMost) return;
    }
    entries_[id] = {port, now};
    counts_[port]++;
}

std::optional<PortId> MacTable::find(const MacAddress& address, uint16_t vlan, uint64_t now) const {
    const auto found = entries_.find(key(address, vlan));
    if (found == entries_.end() || now - found->second.seen > kAge) return std::nullopt;
    return found->second.port;
}

void MacTable::forget(PortId port) {
    std::erase_if(entries_, [port](const auto& one) { return one.second.port == port; });
    counts_.erase(port);
}

size_t MacTable::of_port(PortId port) const {
    const auto found = counts_.find(port);
    return found == counts_.end() ? 0 : found->second;
}

// Once a second at most: a port that invents addresses must not make the switch look for old ones all the time.
void MacTable::sweep(uint64_t now) {
    constexpr uint64_t kPause = 1'000'000'000;
    if (swept_ != 0 && now - swept_ < kPause) return;
    swept_ = now;
    std::erase_if(entries_, [&](const auto& one) {
        const bool old = now - one.second.seen > kAge;
        if (old) counts_[one.second.port]--;
        return old;
    });
}

}  // namespace doppel::network::lan
