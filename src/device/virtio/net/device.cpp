#include "device/virtio/net/device.h"

#include <linux/virtio_ids.h>
#include "device/virtio/net/linux_virtio_net.h"

#include <algorithm>
#include <utility>

#include "base/byte_order.h"
#include "device/restored.h"

namespace doppel::device::virtio::net {

namespace {

constexpr uint32_t kClassEthernet = 0x020000;
constexpr unsigned kToGuest = 0, kFromGuest = 1, kControl = 2;

// Up to the MTU: what is negotiated ends there (5.1.4).
constexpr uint32_t kConfigBytes = offsetof(virtio_net_config, speed);
constexpr size_t kMacBytes = std::tuple_size_v<MacAddress>;

constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}

}  // namespace

NetDevice::NetDevice(const NetOptions& options, network::Port& port)
    : options_(options), port_(port), anchor_(std::make_shared<Anchor>()) {
    anchor_->device = this;
    state_.mac = options_.mac;
}

// The loop is at rest, or this is its thread.
NetDevice::~NetDevice() {
    {
        std::lock_guard guard(anchor_->lock);
        anchor_->device = nullptr;
    }
    port_.attach(nullptr);
}

uint16_t NetDevice::id() const {
    return VIRTIO_ID_NET;
}

uint32_t NetDevice::pci_class() const {
    return kClassEthernet;
}

uint64_t NetDevice::features() const {
    return bit(VIRTIO_NET_F_MAC) | bit(VIRTIO_NET_F_MTU) | bit(VIRTIO_NET_F_STATUS) | bit(VIRTIO_NET_F_MRG_RXBUF) |
           bit(VIRTIO_NET_F_CTRL_VQ) | bit(VIRTIO_NET_F_CTRL_RX) | bit(VIRTIO_NET_F_CTRL_RX_EXTRA) |
           bit(VIRTIO_NET_F_CTRL_MAC_ADDR) | bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | bit(VIRTIO_NET_F_GUEST_ANNOUNCE) |
           sending_features(port_.accepts()) | receiving_features();
}

uint32_t NetDevice::config_size() const {
    return kConfigBytes;
}

uint16_t NetDevice::status() const {
    return static_cast<uint16_t>((port_.link_up() ? VIRTIO_NET_S_LINK_UP : 0) |
                                 (state_.announce ? VIRTIO_NET_S_ANNOUNCE : 0));
}

void NetDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::array<uint8_t, kConfigBytes> image{};
    std::ranges::copy(state_.mac, &image[offsetof(virtio_net_config, mac)]);
    store_le(&image[offsetof(virtio_net_config, status)], status());
    store_le<uint16_t>(&image[offsetof(virtio_net_config, max_virtqueue_pairs)], 1);
    store_le(&image[offsetof(virtio_net_config, mtu)], options_.mtu);
    std::ranges::copy(std::span(image).subspan(offset, to.size()), to.begin());
}

void NetDevice::announce() {
    std::lock_guard guard(transport().device_lock());
    if (!active_ || !negotiated(VIRTIO_NET_F_GUEST_ANNOUNCE)) return;
    state_.announce = true;
    transport().config_changed();
}

void NetDevice::link_changed(bool) {
    std::lock_guard guard(transport().device_lock());
    transport().config_changed();
}

// On any thread; the port belongs to the I/O thread.
void NetDevice::activate(uint64_t features) {
    features_ = features;
    active_ = true;
    state_.receiving = std::exchange(restored_, false) ? state_.receiving & features : features & receiving_features();
    tell_port();
}

void NetDevice::tell_port() {
    transport().loop().post([anchor = anchor_] {
        std::lock_guard alive(anchor->lock);
        NetDevice* device = anchor->device;
        if (device == nullptr) return;
        network::Offloads offloads;
        {
            std::lock_guard guard(device->transport().device_lock());
            offloads = received_offloads(device->state_.receiving);
        }
        device->port_.attach(device);
        device->port_.set_received(offloads);
        device->port_.resume();
    });
}

void NetDevice::notify(unsigned queue) {
    if (queue == kControl) return transport().drain(queue, [this](Chain& chain) { return control(chain); });
    if (queue == kFromGuest) return send();
    if (!std::exchange(refused_, false)) return;
    transport().loop().post([anchor = anchor_] {
        std::lock_guard alive(anchor->lock);
        if (anchor->device != nullptr) anchor->device->port_.resume();
    });
}

// --- from the guest

void NetDevice::send() {
    hand_over();
    for (size_t turns = kQueueSize / kBatch; turns > 0; turns--) {
        if (!outgoing_.empty()) return;  // until the port takes more
        if (!collect()) return;
        hand_over();
    }
    transport().schedule(kFromGuest);
}

// The next batch; false when the queue is empty, with the last of it in the batch.
bool NetDevice::collect() {
    batch_.clear();
    bool more = true;
    for (size_t i = 0; i < kBatch && batch_.size() < kBatchBytes; i++) {
        std::optional<Chain> chain = transport().next(kFromGuest);
        if (!chain) {
            more = false;
            break;
        }
        if (!take(*chain)) transport().queue(kFromGuest).push(std::move(*chain), 0);
    }
    if (!more) hand_over();
    transport().complete(kFromGuest);
    return more;
}

// Copied once: what was looked at is what is sent. False for what is no frame.
bool NetDevice::take(Chain& chain) {
    std::array<uint8_t, kHeaderBytes> raw;
    if (!chain.read(0, raw)) return false;
    const uint64_t length = chain.readable_bytes() - kHeaderBytes;
    if (length < network::kMinFrame || length > network::kMaxFrame) return false;
    const auto offload = parse(raw, length, sent_offloads(features_));
    if (!offload) return false;
    const size_t at = batch_.size();
    batch_.resize(at + length);
    if (!chain.read(kHeaderBytes, std::span(batch_).subspan(at))) {
        batch_.resize(at);
        return false;
    }
    outgoing_.push_back({std::move(chain), *offload, at, length});
    return true;
}

void NetDevice::hand_over() {
    if (outgoing_.empty()) return;
    std::vector<network::Frame> frames;
    for (const Outgoing& one : outgoing_)
        frames.push_back({one.offload, std::span(batch_).subspan(one.at, one.length)});
    const size_t taken = std::min(port_.send(frames), frames.size());
    for (size_t i = 0; i < taken; i++) {
        sent_.fetch_add(outgoing_[i].length, std::memory_order_relaxed);
        transport().queue(kFromGuest).push(std::move(outgoing_[i].chain), 0);
    }
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(taken));
    transport().complete(kFromGuest);
}

void NetDevice::sendable() {
    std::lock_guard guard(transport().device_lock());
    transport().schedule(kFromGuest);
}

// --- to the guest

size_t NetDevice::receive(std::span<const network::Frame> frames) {
    std::lock_guard guard(transport().device_lock());
    if (!active_) return frames.size();  // as a card that is down
    drop_stale_room();
    size_t taken = 0;
    for (; taken < frames.size(); taken++) {
        if (deliver(frames[taken]) == Delivery::kNoRoom) {
            refused_ = true;
            break;
        }
    }
    transport().complete(kToGuest);
    return taken;
}

void NetDevice::drop_stale_room() {
    if (room_.empty() || !room_.front().stale()) return;
    room_.clear();
    room_bytes_ = 0;
}

// Chains stay here until a frame fills them.
bool NetDevice::make_room(uint64_t bytes) {
    while (room_bytes_ < bytes) {
        std::optional<Chain> chain = transport().next(kToGuest);
        if (!chain) return false;
        room_bytes_ += chain->writable_bytes();
        room_.push_back(std::move(*chain));
    }
    return true;
}

// 5.1.6.4. Without mergeable buffers a frame lies in one.
NetDevice::Delivery NetDevice::deliver(const network::Frame& frame) {
    if (frame.bytes.size() < network::kMinFrame || frame.bytes.size() > network::kMaxFrame) return Delivery::kDropped;
    if (!received_offloads(state_.receiving).takes(frame.offload)) return Delivery::kDropped;
    if (!state_.filter.wants(frame.bytes, state_.mac)) return Delivery::kDropped;
    const bool merges = negotiated(VIRTIO_NET_F_MRG_RXBUF);
    const uint64_t needed = kHeaderBytes + frame.bytes.size();
    if (!make_room(merges ? needed : 1)) {
        const bool never = room_.size() >= transport().queue(kToGuest).rings().size;
        return never ? Delivery::kDropped : Delivery::kNoRoom;
    }
    if (room_.front().writable_bytes() < (merges ? kHeaderBytes : needed)) {
        // Of no use to this frame, and the driver knew what to offer.
        Chain chain = std::move(room_.front());
        room_.pop_front();
        room_bytes_ -= chain.writable_bytes();
        transport().queue(kToGuest).push(std::move(chain), 0);
        return Delivery::kDropped;
    }
    uint64_t before = 0;
    uint16_t buffers = 0;
    while (before < needed) before += room_[buffers++].writable_bytes();
    std::span<const uint8_t> rest = frame.bytes;
    for (uint16_t i = 0; i < buffers; i++) {
        Chain chain = std::move(room_.front());
        room_.pop_front();
        room_bytes_ -= chain.writable_bytes();
        const size_t start = i == 0 ? kHeaderBytes : 0;
        if (i == 0) (void)chain.write(0, header_of(frame.offload, buffers));
        const auto part = rest.first(std::min<uint64_t>(rest.size(), chain.writable_bytes() - start));
        (void)chain.write(start, part);
        rest = rest.subspan(part.size());
        transport().queue(kToGuest).push(std::move(chain), start + part.size());
    }
    received_.fetch_add(frame.bytes.size(), std::memory_order_relaxed);
    return Delivery::kDone;
}

// --- control (5.1.6.5)

uint64_t NetDevice::control(Chain& chain) {
    std::array<uint8_t, sizeof(virtio_net_ctrl_hdr)> header{};
    const bool done = chain.read(0, header) && command(chain, header[0], header[1]);
    const uint8_t answer = done ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
    return chain.write(0, std::span(&answer, 1)) ? 1 : 0;
}

bool NetDevice::command(const Chain& chain, uint8_t group, uint8_t what) {
    constexpr size_t kHead = sizeof(virtio_net_ctrl_hdr);
    if (group == VIRTIO_NET_CTRL_RX) {
        uint8_t on = 0;
        return chain.read(kHead, std::span(&on, 1)) && on <= 1 && state_.filter.set_mode(what, on != 0);
    }
    if (group == VIRTIO_NET_CTRL_MAC && what == VIRTIO_NET_CTRL_MAC_TABLE_SET) return set_addresses(chain);
    if (group == VIRTIO_NET_CTRL_MAC && what == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        return chain.readable_bytes() == kHead + kMacBytes && chain.read(kHead, state_.mac);
    }
    if (group == VIRTIO_NET_CTRL_ANNOUNCE && what == VIRTIO_NET_CTRL_ANNOUNCE_ACK) {
        return std::exchange(state_.announce, false);
    }
    if (group == VIRTIO_NET_CTRL_GUEST_OFFLOADS && what == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET) {
        std::array<uint8_t, sizeof(uint64_t)> raw;
        if (!chain.read(kHead, raw)) return false;
        const auto wanted = load_le<uint64_t>(raw.data());
        if ((wanted & ~(features_ & receiving_features())) != 0) return false;
        state_.receiving = wanted;
        tell_port();
        return true;
    }
    return false;
}

// Two tables: the number of addresses, 32 bits, and the addresses.
bool NetDevice::set_addresses(const Chain& chain) {
    constexpr uint64_t kMost = 4 * Filter::kMaxAddresses;  // more are as good as kMaxAddresses + 1
    uint64_t at = sizeof(virtio_net_ctrl_hdr);
    std::array<std::vector<uint8_t>, 2> tables;
    for (auto& table : tables) {
        std::array<uint8_t, sizeof(uint32_t)> raw;
        if (!chain.read(at, raw)) return false;
        const uint64_t entries = load_le<uint32_t>(raw.data());
        at += raw.size();
        if (entries * kMacBytes > chain.readable_bytes() - at) return false;
        table.resize(std::min(entries, kMost) * kMacBytes);
        if (!chain.read(at, table)) return false;
        at += entries * kMacBytes;
    }
    state_.filter.set_addresses(tables[0], tables[1]);
    return true;
}

// --- the device as a whole

void NetDevice::reset() {
    state_ = State{};
    state_.mac = options_.mac;
    features_ = 0;
    active_ = refused_ = restored_ = false;
    outgoing_.clear();
    batch_.clear();
    room_.clear();
    room_bytes_ = 0;
}

void NetDevice::save(StateWriter& writer) const {
    State state = state_;
    state.fields(writer);
}

Result<> NetDevice::restore(StateReader& reader) {
    State state;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish(name()));
    DOPPEL_CHECK(check_restored(state.filter.possible(), name(), "its filter"));
    DOPPEL_CHECK(check_restored((state.receiving & ~receiving_features()) == 0, name(), "what it receives"));
    reset();
    state_ = state;
    restored_ = true;
    return {};
}

}  // namespace doppel::device::virtio::net
