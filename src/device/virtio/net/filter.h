// Which frames a driver wants to receive (virtio 1.2, 5.1.6.5.1 and .2).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace doppel::device::virtio::net {

using MacAddress = std::array<uint8_t, 6>;

// At first, everything.
class Filter {
  public:
    static constexpr size_t kMaxAddresses = 64;  // of each kind; with more, all of the kind are wanted

    // By VIRTIO_NET_CTRL_RX_*; false for a mode that there is none of.
    [[nodiscard]] bool set_mode(uint8_t mode, bool on);
    // Addresses beside the card's own, one behind the other: unicast, then multicast.
    void set_addresses(std::span<const uint8_t> unicast, std::span<const uint8_t> multicast);

    // `frame` has a whole Ethernet header; `own` is the card's address.
    bool wants(std::span<const uint8_t> frame, const MacAddress& own) const;

    template <class V>
    void fields(V& v) {
        v.field(1, modes_);
        v.field(2, unicast_);
        v.field(3, multicast_);
        v.field(4, too_many_unicast_);
        v.field(5, too_many_multicast_);
    }
    // For what was restored.
    bool possible() const;

  private:
    bool mode(unsigned number) const { return (modes_ >> number & 1) != 0; }

    uint8_t modes_ = 1;  // a bit a mode: promiscuous
    std::vector<uint8_t> unicast_, multicast_;
    bool too_many_unicast_ = false, too_many_multicast_ = false;
};

}  // namespace doppel::device::virtio::net
