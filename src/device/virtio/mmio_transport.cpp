#include "device/virtio/mmio_transport.h"

#include <linux/virtio_mmio.h>

namespace doppel::device::virtio {

namespace {

constexpr uint32_t kMagic = 0x74726976;  // "virt"
constexpr uint32_t kVersion = 2;
constexpr uint32_t kVendor = 0x1af4;
constexpr unsigned kRegisterBytes = 4;

}  // namespace

// 4.2.2: registers are read and written in 32 bits, the device's configuration in any width.
uint64_t MmioTransport::read(uint64_t offset, unsigned bytes) {
    if (offset >= VIRTIO_MMIO_CONFIG) return read_device_config(offset - VIRTIO_MMIO_CONFIG, bytes);
    return bytes == kRegisterBytes ? read_register(offset) : 0;
}

void MmioTransport::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (offset >= VIRTIO_MMIO_CONFIG) return write_device_config(offset - VIRTIO_MMIO_CONFIG, bytes, value);
    if (bytes == kRegisterBytes) write_register(offset, static_cast<uint32_t>(value));
}

uint32_t MmioTransport::read_register(uint64_t offset) const {
    const Queue* selected = selected_queue();
    switch (offset) {
        case VIRTIO_MMIO_MAGIC_VALUE:
            return kMagic;
        case VIRTIO_MMIO_VERSION:
            return kVersion;
        case VIRTIO_MMIO_DEVICE_ID:
            return device().id();
        case VIRTIO_MMIO_VENDOR_ID:
            return kVendor;
        case VIRTIO_MMIO_DEVICE_FEATURES:
            return device_features();
        case VIRTIO_MMIO_QUEUE_NUM_MAX:
            return selected != nullptr ? selected->max_size() : 0;
        case VIRTIO_MMIO_QUEUE_READY:
            return selected != nullptr && selected->enabled() ? 1 : 0;
        case VIRTIO_MMIO_INTERRUPT_STATUS:
            return causes();
        case VIRTIO_MMIO_STATUS:
            return status();
        case VIRTIO_MMIO_SHM_LEN_LOW:
        case VIRTIO_MMIO_SHM_LEN_HIGH:
        case VIRTIO_MMIO_SHM_BASE_LOW:
        case VIRTIO_MMIO_SHM_BASE_HIGH:
            return ~0U;  // there is no shared memory (4.2.2.1)
        case VIRTIO_MMIO_CONFIG_GENERATION:
            return config_generation();
        default:
            return 0;
    }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
    if (write_ring_address(offset, value)) return;
    switch (offset) {
        case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
            return select_device_features(value);
        case VIRTIO_MMIO_DRIVER_FEATURES:
            return write_driver_features(value);
        case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
            return select_driver_features(value);
        case VIRTIO_MMIO_QUEUE_SEL:
            return select_queue(value);
        case VIRTIO_MMIO_QUEUE_NUM:
            return set_queue_size(value);
        case VIRTIO_MMIO_QUEUE_READY:
            return set_ready(value == 1);
        case VIRTIO_MMIO_QUEUE_NOTIFY:
            if (value < queue_count()) schedule(value);
            return;
        case VIRTIO_MMIO_INTERRUPT_ACK:
            clear_causes(static_cast<uint8_t>(value));
            return line_.set(causes() != 0);
        case VIRTIO_MMIO_STATUS:
            return write_status(static_cast<uint8_t>(value));
        default:
            return;
    }
}

bool MmioTransport::write_ring_address(uint64_t offset, uint32_t value) {
    constexpr uint64_t kLow = 0xffffffff, kHigh = kLow << 32;
    const auto low = [&](RingAddress which) { set_ring_address(which, kLow, value); };
    const auto high = [&](RingAddress which) { set_ring_address(which, kHigh, uint64_t{value} << 32); };
    switch (offset) {
        case VIRTIO_MMIO_QUEUE_DESC_LOW:
            return low(RingAddress::kDescriptors), true;
        case VIRTIO_MMIO_QUEUE_DESC_HIGH:
            return high(RingAddress::kDescriptors), true;
        case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
            return low(RingAddress::kAvailable), true;
        case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
            return high(RingAddress::kAvailable), true;
        case VIRTIO_MMIO_QUEUE_USED_LOW:
            return low(RingAddress::kUsed), true;
        case VIRTIO_MMIO_QUEUE_USED_HIGH:
            return high(RingAddress::kUsed), true;
        default:
            return false;
    }
}

// What is under way in a queue that is stopped finds its chains stale.
void MmioTransport::set_ready(bool ready) {
    if (ready) return enable_queue();
    if (Queue* selected = selected_queue(); selected != nullptr && selected->enabled()) selected->reset();
}

void MmioTransport::interrupt(uint8_t cause) {
    add_cause(cause);
    line_.set(true);
}

void MmioTransport::reset_transport() {
    reset_core();
    line_.set(false);
}

void MmioTransport::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    save_core(writer);
}

Result<> MmioTransport::restore(StateReader& reader) {
    std::lock_guard guard(lock());
    DOPPEL_CHECK(restore_core(reader));
    line_.set(causes() != 0);
    core_restored();
    return {};
}

}  // namespace doppel::device::virtio
