#include "device/virtio/net/filter.h"

#include "device/virtio/net/linux_virtio_net.h"

#include <algorithm>

namespace doppel::device::virtio::net {

namespace {

constexpr size_t kBytes = std::tuple_size_v<MacAddress>;

bool contains(std::span<const uint8_t> addresses, std::span<const uint8_t> address) {
    for (size_t at = 0; at + kBytes <= addresses.size(); at += kBytes) {
        if (std::ranges::equal(addresses.subspan(at, kBytes), address)) return true;
    }
    return false;
}

bool take(std::span<const uint8_t> addresses, std::vector<uint8_t>& to) {
    const bool too_many = addresses.size() > Filter::kMaxAddresses * kBytes;
    to.clear();
    if (!too_many) to.assign(addresses.begin(), addresses.end());
    return too_many;
}

}  // namespace

bool Filter::set_mode(uint8_t mode, bool on) {
    if (mode > VIRTIO_NET_CTRL_RX_NOBCAST) return false;
    const auto bit = static_cast<uint8_t>(1 << mode);
    modes_ = static_cast<uint8_t>(on ? modes_ | bit : modes_ & ~bit);
    return true;
}

void Filter::set_addresses(std::span<const uint8_t> unicast, std::span<const uint8_t> multicast) {
    too_many_unicast_ = take(unicast, unicast_);
    too_many_multicast_ = take(multicast, multicast_);
}

bool Filter::wants(std::span<const uint8_t> frame, const MacAddress& own) const {
    const auto to = frame.first(kBytes);
    if (mode(VIRTIO_NET_CTRL_RX_PROMISC)) return true;
    const bool group = (to[0] & 1) != 0;
    if (std::ranges::all_of(to, [](uint8_t byte) { return byte == 0xff; })) return !mode(VIRTIO_NET_CTRL_RX_NOBCAST);
    if (group) {
        if (mode(VIRTIO_NET_CTRL_RX_NOMULTI)) return false;
        return mode(VIRTIO_NET_CTRL_RX_ALLMULTI) || too_many_multicast_ || contains(multicast_, to);
    }
    if (mode(VIRTIO_NET_CTRL_RX_NOUNI)) return false;
    return mode(VIRTIO_NET_CTRL_RX_ALLUNI) || too_many_unicast_ || std::ranges::equal(to, own) ||
           contains(unicast_, to);
}

bool Filter::possible() const {
    const auto fits = [](const std::vector<uint8_t>& list) {
        return list.size() % kBytes == 0 && list.size() <= kMaxAddresses * kBytes;
    };
    return modes_ >> (VIRTIO_NET_CTRL_RX_NOBCAST + 1) == 0 && fits(unicast_) && fits(multicast_);
}

}  // namespace doppel::device::virtio::net
