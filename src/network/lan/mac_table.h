// Behind which port an address was seen last (IEEE 802.1Q, 8.8), with a bound that no port can use up alone.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "network/mac_address.h"

namespace doppel::network::lan {

using PortId = uint32_t;

class MacTable {
  public:
    static constexpr size_t kMostOfAPort = 1024, kMost = 8192;
    static constexpr uint64_t kAge = 300'000'000'000;  // nanoseconds until what is not seen any more is forgotten

    // What is beyond the bounds is not learned, and stays unknown.
    void learn(const MacAddress& address, uint16_t vlan, PortId port, uint64_t now);
    std::optional<PortId> find(const MacAddress& address, uint16_t vlan, uint64_t now) const;
    void forget(PortId port);
    size_t size() const { return entries_.size(); }
    size_t of_port(PortId port) const;

  private:
    struct Entry {
        PortId port;
        uint64_t seen;
    };
    static uint64_t key(const MacAddress& address, uint16_t vlan);
    void sweep(uint64_t now);

    std::unordered_map<uint64_t, Entry> entries_;
    std::unordered_map<PortId, size_t> counts_;
    uint64_t swept_ = 0;
};

}  // namespace doppel::network::lan
