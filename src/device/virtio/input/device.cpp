#include "device/virtio/input/device.h"

#include <linux/input.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>

#include <algorithm>
#include <string_view>

#include "base/byte_order.h"
#include "device/restored.h"

namespace doppel::device::virtio::input {

namespace {

constexpr uint32_t kClassKeyboard = 0x090000;
constexpr std::string_view kName = "doppel power key";
constexpr std::string_view kSerial = "power";
constexpr uint16_t kVendor = 0x1af4, kProduct = 0x0001, kVersion = 1;

constexpr unsigned kEvents = 0, kStatus = 1;  // queues

// A saved event: type, code and value in one integer.
struct Pending {
    uint8_t select = 0, subselect = 0;
    std::vector<uint64_t> events{};
    template <class V>
    void fields(V& v) {
        v.field(1, select);
        v.field(2, subselect);
        v.field(3, events);
    }
};

}  // namespace

uint16_t PowerKeyDevice::id() const {
    return VIRTIO_ID_INPUT;
}

uint32_t PowerKeyDevice::pci_class() const {
    return kClassKeyboard;
}

uint32_t PowerKeyDevice::config_size() const {
    return sizeof(virtio_input_config);
}

// 5.8.5: what `select` and `subsel` choose; empty when there is nothing of the kind.
std::vector<uint8_t> PowerKeyDevice::selected() const {
    switch (select_) {
        case VIRTIO_INPUT_CFG_ID_NAME:
            return subselect_ == 0 ? std::vector<uint8_t>(kName.begin(), kName.end()) : std::vector<uint8_t>();
        case VIRTIO_INPUT_CFG_ID_SERIAL:
            return subselect_ == 0 ? std::vector<uint8_t>(kSerial.begin(), kSerial.end()) : std::vector<uint8_t>();
        case VIRTIO_INPUT_CFG_ID_DEVIDS: {
            if (subselect_ != 0) return {};
            std::vector<uint8_t> ids(sizeof(virtio_input_devids));
            store_le<uint16_t>(&ids[offsetof(virtio_input_devids, bustype)], BUS_VIRTUAL);
            store_le<uint16_t>(&ids[offsetof(virtio_input_devids, vendor)], kVendor);
            store_le<uint16_t>(&ids[offsetof(virtio_input_devids, product)], kProduct);
            store_le<uint16_t>(&ids[offsetof(virtio_input_devids, version)], kVersion);
            return ids;
        }
        case VIRTIO_INPUT_CFG_EV_BITS: {
            if (subselect_ != EV_KEY) return {};
            std::vector<uint8_t> bits(KEY_POWER / 8 + 1);
            bits[KEY_POWER / 8] = 1 << (KEY_POWER % 8);
            return bits;
        }
        default:
            return {};
    }
}

void PowerKeyDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::array<uint8_t, sizeof(virtio_input_config)> image{};
    const std::vector<uint8_t> what = selected();
    image[offsetof(virtio_input_config, select)] = select_;
    image[offsetof(virtio_input_config, subsel)] = subselect_;
    image[offsetof(virtio_input_config, size)] = static_cast<uint8_t>(what.size());
    std::ranges::copy(what, &image[offsetof(virtio_input_config, u)]);
    std::ranges::copy(std::span(image).subspan(offset, to.size()), to.begin());
}

void PowerKeyDevice::write_config(uint32_t offset, std::span<const uint8_t> from) {
    for (size_t i = 0; i < from.size(); i++) {
        if (offset + i == offsetof(virtio_input_config, select)) select_ = from[i];
        if (offset + i == offsetof(virtio_input_config, subsel)) subselect_ = from[i];
    }
}

bool PowerKeyDevice::press_power() {
    std::lock_guard guard(transport().device_lock());
    constexpr std::array kPress{Event{EV_KEY, KEY_POWER, 1}, Event{EV_SYN, SYN_REPORT, 0}, Event{EV_KEY, KEY_POWER, 0},
                                Event{EV_SYN, SYN_REPORT, 0}};
    if (!active_ || pending_.size() + kPress.size() > kMaxPending) return false;
    pending_.insert(pending_.end(), kPress.begin(), kPress.end());
    transport().schedule(kEvents);
    return true;
}

void PowerKeyDevice::notify(unsigned queue) {
    if (queue == kStatus) return transport().drain(queue, [](Chain&) { return 0; });
    Queue& events = transport().queue(kEvents);
    for (unsigned i = 0; i < kQueueSize && !pending_.empty(); i++) {
        std::optional<Chain> chain = transport().next(kEvents);
        if (!chain) break;
        const Event& event = pending_.front();
        std::array<uint8_t, sizeof(virtio_input_event)> raw;
        store_le(&raw[offsetof(virtio_input_event, type)], event.type);
        store_le(&raw[offsetof(virtio_input_event, code)], event.code);
        store_le(&raw[offsetof(virtio_input_event, value)], event.value);
        const bool written = chain->write(0, raw);
        events.push(std::move(*chain), written ? raw.size() : 0);
        if (written) pending_.pop_front();
    }
    transport().complete(kEvents);
}

void PowerKeyDevice::reset() {
    select_ = subselect_ = 0;
    active_ = false;
    pending_.clear();
}

void PowerKeyDevice::save(StateWriter& writer) const {
    Pending state{.select = select_, .subselect = subselect_};
    for (const Event& event : pending_) {
        state.events.push_back(uint64_t{event.type} << 48 | uint64_t{event.code} << 32 | event.value);
    }
    state.fields(writer);
}

Result<> PowerKeyDevice::restore(StateReader& reader) {
    Pending state;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish(name()));
    DOPPEL_CHECK(check_restored(state.events.size() <= kMaxPending, name(), "the number of its events"));
    select_ = state.select;
    subselect_ = state.subselect;
    active_ = false;  // until `activate`
    pending_.clear();
    for (uint64_t event : state.events) {
        pending_.push_back(
            {static_cast<uint16_t>(event >> 48), static_cast<uint16_t>(event >> 32), static_cast<uint32_t>(event)});
    }
    return {};
}

}  // namespace doppel::device::virtio::input
