#include "device/virtio/transport_core.h"

#define VIRTIO_RING_NO_LEGACY  // those parts are C only
#include <linux/virtio_ring.h>

#include <linux/virtio_config.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/byte_order.h"

namespace doppel::device::virtio {

namespace {

constexpr uint64_t kRingFeatures = uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC | uint64_t{1} << VIRTIO_RING_F_EVENT_IDX;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;
constexpr uint8_t kDriverStatus = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
                                  VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

enum Tag : uint16_t { kRegistersTag = 1, kDeviceTag = 2, kFirstQueueTag = 0x100 };

constexpr bool has_feature(uint64_t features, unsigned bit) {
    return (features >> bit & 1) != 0;
}

constexpr uint32_t half(uint64_t features, uint32_t select) {
    return select < 2 ? static_cast<uint32_t>(features >> (32 * select)) : 0u;
}

}  // namespace

TransportCore::TransportCore(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop)
    : loop_(loop), anchor_(std::make_shared<Anchor>()), device_(std::move(device)) {
    anchor_->transport = this;
    device_->attach(*this);
    for (uint16_t size : device_->queue_sizes()) queues_.push_back(std::make_unique<Queue>(memory, size));
    scheduled_.assign(queues_.size(), false);
}

void TransportCore::retire() {
    std::lock_guard guard(anchor_->lock);
    anchor_->transport = nullptr;
}

uint64_t TransportCore::offered_features() const {
    return device_->features() | kRingFeatures | kVersion1;
}

bool TransportCore::acceptable(uint64_t driver_features) const {
    return (driver_features & ~offered_features()) == 0 && (driver_features & kVersion1) != 0;
}

bool TransportCore::running() const {
    return (registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0 &&
           (registers_.status & VIRTIO_CONFIG_S_NEEDS_RESET) == 0 && reaches_memory();
}

uint32_t TransportCore::device_features() const {
    return half(offered_features(), registers_.device_feature_select);
}

uint32_t TransportCore::driver_features() const {
    return half(registers_.driver_features, registers_.driver_feature_select);
}

void TransportCore::write_driver_features(uint32_t value) {
    Registers& r = registers_;
    if (r.driver_feature_select >= 2 || (r.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0) return;
    unsigned shift = 32 * r.driver_feature_select;
    r.driver_features &= ~(uint64_t{0xffffffff} << shift);
    r.driver_features |= uint64_t{value} << shift;
}

void TransportCore::select_queue(uint32_t index) {
    registers_.queue_select = static_cast<uint16_t>(std::min<uint32_t>(index, UINT16_MAX));
}

Queue* TransportCore::selected_queue() const {
    return registers_.queue_select < queues_.size() ? queues_[registers_.queue_select].get() : nullptr;
}

void TransportCore::set_queue_size(uint64_t size) {
    Queue* selected = selected_queue();
    if (selected == nullptr || size > UINT16_MAX) return;
    Queue::Rings rings = selected->rings();
    rings.size = static_cast<uint16_t>(size);
    selected->set_rings(rings);
}

void TransportCore::set_ring_address(RingAddress which, uint64_t mask, uint64_t value) {
    Queue* selected = selected_queue();
    if (selected == nullptr) return;
    Queue::Rings rings = selected->rings();
    uint64_t* const addresses[] = {&rings.descriptors, &rings.available, &rings.used};
    uint64_t& address = *addresses[static_cast<unsigned>(which)];
    address = (address & ~mask) | (value & mask);
    selected->set_rings(rings);
}

void TransportCore::enable_queue() {
    Queue* selected = selected_queue();
    if (selected == nullptr || selected->enabled()) return;
    selected->enable();
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) start_queues();
}

uint8_t TransportCore::status() const {
    if (registers_.status == 0 && device_->resetting()) return VIRTIO_CONFIG_S_NEEDS_RESET;
    return registers_.status;
}

// 2.1 and 3.1.1.
void TransportCore::write_status(uint8_t value) {
    Registers& r = registers_;
    if (value == 0) return reset_transport();
    uint8_t added = value & kDriverStatus & ~r.status;
    if ((added & VIRTIO_CONFIG_S_FEATURES_OK) != 0 && !acceptable(r.driver_features)) {
        added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    }
    if (((r.status | added) & VIRTIO_CONFIG_S_FEATURES_OK) == 0) added &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    r.status |= added;
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) != 0) {
        device_->activate(r.driver_features);
        start_queues();
    }
}

void TransportCore::start_queues() {
    bool indirect = has_feature(registers_.driver_features, VIRTIO_RING_F_INDIRECT_DESC);
    bool event_index = has_feature(registers_.driver_features, VIRTIO_RING_F_EVENT_IDX);
    bool broken = false;
    for (auto& each : queues_) {
        each->start(indirect, event_index);
        broken = broken || each->broken();
    }
    if (broken) needs_reset();
}

uint64_t TransportCore::read_device_config(uint64_t offset, unsigned bytes) {
    uint32_t size = device_->config_size();
    if (offset >= size) return 0;
    std::array<uint8_t, 8> raw{};
    device_->read_config(static_cast<uint32_t>(offset), std::span(raw).first(std::min<uint64_t>(bytes, size - offset)));
    return load_le<uint64_t>(raw.data());
}

void TransportCore::write_device_config(uint64_t offset, unsigned bytes, uint64_t value) {
    uint32_t size = device_->config_size();
    if (offset >= size || bytes > size - offset) return;
    std::array<uint8_t, 8> raw{};
    store_le(raw.data(), value);
    device_->write_config(static_cast<uint32_t>(offset), std::span(raw).first(bytes));
}

void TransportCore::schedule_all() {
    for (unsigned i = 0; i < queues_.size(); i++) schedule(i);
}

void TransportCore::schedule(unsigned index) {
    if (!running()) return;  // and once it is, all queues are looked at
    scheduled_[index] = true;
    if (!std::exchange(posted_, true)) post();
}

void TransportCore::post() {
    loop_.post([anchor = anchor_] {
        std::lock_guard alive(anchor->lock);
        if (anchor->transport != nullptr) anchor->transport->process();
    });
}

void TransportCore::process() {
    std::lock_guard guard(device_lock());
    posted_ = false;
    for (unsigned i = 0; i < queues_.size(); i++) {
        if (!scheduled_[i]) continue;
        scheduled_[i] = false;
        if (running()) device_->notify(i);
    }
}

void TransportCore::complete(unsigned index) {
    if (queues_[index]->broken()) return needs_reset();
    if (queues_[index]->take_notification()) interrupt_for_queue(index);
}

void TransportCore::config_changed() {
    registers_.config_generation++;
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) interrupt_for_config();
}

void TransportCore::needs_reset() {
    if ((registers_.status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) return;
    registers_.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) interrupt_for_config();
}

void TransportCore::reset_core() {
    for (auto& each : queues_) each->reset();
    device_->reset();
    std::fill(scheduled_.begin(), scheduled_.end(), false);
    registers_ = Registers{};
}

void TransportCore::save_core(StateWriter& writer) const {
    Registers registers = registers_;
    writer.section(kRegistersTag, registers);
    StateWriter device;
    device_->save(device);
    writer.put_section(kDeviceTag, device);
    for (unsigned i = 0; i < queues_.size(); i++) {
        StateWriter queue;
        queues_[i]->save(queue);
        writer.put_section(static_cast<uint16_t>(kFirstQueueTag + i), queue);
    }
}

Error TransportCore::not_this_device() const {
    return {"restore", std::string(device_->name()), "its features or queues are not those of this device",
            "start the machine with the devices that it was saved with"};
}

Result<> TransportCore::restore_core(StateReader& reader) {
    Registers registers;
    reader.section(kRegistersTag, registers);
    StateReader device;
    reader.get_section(kDeviceTag, device);
    std::vector<Queue::State> queues;
    for (unsigned i = 0; i < queues_.size(); i++) {
        StateReader queue;
        reader.get_section(static_cast<uint16_t>(kFirstQueueTag + i), queue);
        DOPPEL_TRY(Queue::State state, queues_[i]->parse(queue));
        queues.push_back(std::move(state));
    }
    DOPPEL_CHECK(reader.finish(device_->name()));

    bool negotiated = (registers.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
    bool ready = (registers.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
    if ((negotiated && !acceptable(registers.driver_features)) || (ready && !negotiated)) {
        return fail(not_this_device());
    }
    DOPPEL_CHECK(device_->restore(device));

    registers_ = registers;
    for (unsigned i = 0; i < queues_.size(); i++) queues_[i]->adopt(queues[i]);
    std::fill(scheduled_.begin(), scheduled_.end(), false);
    return {};
}

// A notification may have been on its way when the state was saved, so every queue is looked at.
void TransportCore::core_restored() {
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) == 0) return;
    device_->activate(registers_.driver_features);
    start_queues();
    schedule_all();
}

}  // namespace doppel::device::virtio
