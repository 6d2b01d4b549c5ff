#include "device/virtio/pci_transport.h"

#define VIRTIO_RING_NO_LEGACY  // those parts are C only
#include <linux/virtio_ring.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/byte_order.h"

namespace doppel::device::virtio {

namespace {

constexpr uint16_t kVendor = 0x1af4;
constexpr uint16_t kFirstDeviceId = 0x1040;  // + the virtio device id
constexpr uint16_t kSubsystem = 0x1100;      // 0x40 or more: not transitional (4.1.2.1)

constexpr unsigned kMsixBar = 1;
constexpr unsigned kRegisterBar = 4;
constexpr uint32_t kRegionSize = 0x1000;
constexpr uint32_t kCommon = 0 * kRegionSize;
constexpr uint32_t kIsr = 1 * kRegionSize;
constexpr uint32_t kDeviceConfig = 2 * kRegionSize;
constexpr uint32_t kNotify = 3 * kRegionSize;
constexpr uint32_t kNotifyMultiplier = 4;

constexpr uint64_t kRingFeatures = uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC | uint64_t{1} << VIRTIO_RING_F_EVENT_IDX;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;
constexpr uint8_t kDriverStatus = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
                                  VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

constexpr uint8_t kIsrQueue = 1;
constexpr uint8_t kIsrConfig = VIRTIO_PCI_ISR_CONFIG;

constexpr bool has_feature(uint64_t features, unsigned bit) {
    return (features >> bit & 1) != 0;
}

pci::Identity identity_of(const VirtioDevice& device) {
    return {.vendor = kVendor,
            .device = static_cast<uint16_t>(kFirstDeviceId + device.id()),
            .class_code = device.pci_class(),
            .revision = 1,
            .subsystem_vendor = kVendor,
            .subsystem = kSubsystem,
            .interrupt_pin = 1};
}

bool touches(unsigned offset, unsigned bytes, unsigned begin, unsigned length) {
    return offset < begin + length && begin < offset + bytes;
}

}  // namespace

PciTransport::PciTransport(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop)
    : Function(identity_of(*device)), device_(std::move(device)), loop_(loop), anchor_(std::make_shared<Anchor>()) {
    anchor_->transport = this;
    device_->attach(*this);
    for (uint16_t size : device_->queue_sizes()) queues_.push_back(std::make_unique<Queue>(memory, size));
    registers_.queue_vectors.assign(queues_.size(), VIRTIO_MSI_NO_VECTOR);
    scheduled_.assign(queues_.size(), false);
    add_bar({.index = kRegisterBar, .size = 4 * uint64_t{kRegionSize}, .wide = true});
    offer_msix(kMsixBar, static_cast<unsigned>(queues_.size()) + 1);
    add_capabilities();
}

PciTransport::~PciTransport() {
    std::lock_guard guard(anchor_->lock);
    anchor_->transport = nullptr;
}

unsigned PciTransport::add_region(uint8_t type, uint32_t offset, uint32_t length, unsigned capability_bytes) {
    unsigned at = config().add_capability(PCI_CAP_ID_VNDR, capability_bytes);
    config().define<uint8_t>(at + VIRTIO_PCI_CAP_LEN, static_cast<uint8_t>(capability_bytes));
    config().define<uint8_t>(at + VIRTIO_PCI_CAP_CFG_TYPE, type);
    config().define<uint8_t>(at + VIRTIO_PCI_CAP_BAR, kRegisterBar);
    config().define<uint32_t>(at + VIRTIO_PCI_CAP_OFFSET, offset);
    config().define<uint32_t>(at + VIRTIO_PCI_CAP_LENGTH, length);
    return at;
}

void PciTransport::add_capabilities() {
    constexpr unsigned kPlain = sizeof(virtio_pci_cap);
    add_region(VIRTIO_PCI_CAP_COMMON_CFG, kCommon, sizeof(CommonImage), kPlain);
    add_region(VIRTIO_PCI_CAP_ISR_CFG, kIsr, 1, kPlain);
    if (device_->config_size() != 0) {
        add_region(VIRTIO_PCI_CAP_DEVICE_CFG, kDeviceConfig, device_->config_size(), kPlain);
    }
    auto notify_bytes = static_cast<uint32_t>(queues_.size()) * kNotifyMultiplier;
    unsigned notify = add_region(VIRTIO_PCI_CAP_NOTIFY_CFG, kNotify, notify_bytes, sizeof(virtio_pci_notify_cap));
    config().define<uint32_t>(notify + VIRTIO_PCI_NOTIFY_CAP_MULT, kNotifyMultiplier);

    window_capability_ = add_region(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(virtio_pci_cfg_cap));
    config().define<uint8_t>(window_capability_ + VIRTIO_PCI_CAP_BAR, 0, 0xff);
    config().define<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_OFFSET, 0, ~0u);
    config().define<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_LENGTH, 0, ~0u);
    config().define<uint32_t>(window_capability_ + sizeof(virtio_pci_cap), 0, ~0u);
}

uint64_t PciTransport::offered_features() const {
    return device_->features() | kRingFeatures | kVersion1;
}

bool PciTransport::acceptable(uint64_t driver_features) const {
    return (driver_features & ~offered_features()) == 0 && (driver_features & kVersion1) != 0;
}

bool PciTransport::running() const {
    return (registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0 &&
           (registers_.status & VIRTIO_CONFIG_S_NEEDS_RESET) == 0 && bus_master();
}

// 4.1.4.3. Reads have no side effects, so they are cut out of an image of the whole structure.
PciTransport::CommonImage PciTransport::common_image() const {
    CommonImage image{};
    const Registers& r = registers_;
    auto half = [](uint64_t features, uint32_t select) {
        return select < 2 ? static_cast<uint32_t>(features >> (32 * select)) : 0u;
    };
    store_le(&image[VIRTIO_PCI_COMMON_DFSELECT], r.device_feature_select);
    store_le(&image[VIRTIO_PCI_COMMON_DF], half(offered_features(), r.device_feature_select));
    store_le(&image[VIRTIO_PCI_COMMON_GFSELECT], r.driver_feature_select);
    store_le(&image[VIRTIO_PCI_COMMON_GF], half(r.driver_features, r.driver_feature_select));
    store_le(&image[VIRTIO_PCI_COMMON_MSIX], r.config_vector);
    store_le(&image[VIRTIO_PCI_COMMON_NUMQ], static_cast<uint16_t>(queues_.size()));
    image[VIRTIO_PCI_COMMON_STATUS] = r.status;
    // A driver waits for 0 after it has reset the device (4.1.4.3.2).
    if (r.status == 0 && device_->resetting()) image[VIRTIO_PCI_COMMON_STATUS] = VIRTIO_CONFIG_S_NEEDS_RESET;
    image[VIRTIO_PCI_COMMON_CFGGENERATION] = r.config_generation;
    store_le(&image[VIRTIO_PCI_COMMON_Q_SELECT], r.queue_select);
    if (r.queue_select >= queues_.size()) return image;  // size 0: there is no such queue
    const Queue& selected = *queues_[r.queue_select];
    store_le(&image[VIRTIO_PCI_COMMON_Q_SIZE], selected.rings().size);
    store_le(&image[VIRTIO_PCI_COMMON_Q_MSIX], r.queue_vectors[r.queue_select]);
    store_le(&image[VIRTIO_PCI_COMMON_Q_ENABLE], static_cast<uint16_t>(selected.enabled()));
    store_le(&image[VIRTIO_PCI_COMMON_Q_NOFF], r.queue_select);
    store_le(&image[VIRTIO_PCI_COMMON_Q_DESCLO], selected.rings().descriptors);
    store_le(&image[VIRTIO_PCI_COMMON_Q_AVAILLO], selected.rings().available);
    store_le(&image[VIRTIO_PCI_COMMON_Q_USEDLO], selected.rings().used);
    return image;
}

uint64_t PciTransport::read_device(unsigned bar, uint64_t offset, unsigned bytes) {
    if (bar != kRegisterBar) return pci::all_ones(bytes);
    uint64_t inside = offset % kRegionSize;
    switch (offset - inside) {
        case kCommon: {
            CommonImage image = common_image();
            if (inside + bytes > image.size()) return 0;
            uint64_t value = 0;
            for (unsigned i = 0; i < bytes; i++) value |= static_cast<uint64_t>(image[inside + i]) << (8 * i);
            return value;
        }
        case kIsr:
            return read_isr(inside);
        case kDeviceConfig:
            return read_device_config(inside, bytes);
        default:
            return 0;
    }
}

void PciTransport::write_device(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value) {
    if (bar != kRegisterBar) return;
    uint64_t inside = offset % kRegionSize;
    switch (offset - inside) {
        case kCommon:
            return inside < VIRTIO_PCI_COMMON_Q_SIZE ? write_common(inside, bytes, value)
                                                     : write_queue(inside, bytes, value);
        case kDeviceConfig:
            return write_device_config(inside, bytes, value);
        case kNotify:
            if (inside / kNotifyMultiplier < queues_.size())
                schedule(static_cast<unsigned>(inside / kNotifyMultiplier));
            return;
        default:
            return;
    }
}

// A field is written with its own width (4.1.3.1); anything else is ignored.
void PciTransport::write_common(uint64_t offset, unsigned bytes, uint64_t value) {
    constexpr auto kKey = [](uint64_t at, unsigned width) { return at << 4 | width; };
    Registers& r = registers_;
    switch (kKey(offset, bytes)) {
        case kKey(VIRTIO_PCI_COMMON_DFSELECT, 4):
            r.device_feature_select = static_cast<uint32_t>(value);
            break;
        case kKey(VIRTIO_PCI_COMMON_GFSELECT, 4):
            r.driver_feature_select = static_cast<uint32_t>(value);
            break;
        case kKey(VIRTIO_PCI_COMMON_GF, 4):
            if (r.driver_feature_select < 2 && (r.status & VIRTIO_CONFIG_S_FEATURES_OK) == 0) {
                unsigned shift = 32 * r.driver_feature_select;
                r.driver_features &= ~(uint64_t{0xffffffff} << shift);
                r.driver_features |= (value & 0xffffffff) << shift;
            }
            break;
        case kKey(VIRTIO_PCI_COMMON_MSIX, 2):
            r.config_vector = usable_vector(value);
            break;
        case kKey(VIRTIO_PCI_COMMON_STATUS, 1):
            write_status(static_cast<uint8_t>(value));
            break;
        case kKey(VIRTIO_PCI_COMMON_Q_SELECT, 2):
            r.queue_select = static_cast<uint16_t>(value);
            break;
        default:
            break;
    }
}

void PciTransport::write_queue(uint64_t offset, unsigned bytes, uint64_t value) {
    if (registers_.queue_select >= queues_.size()) return;
    Queue& selected = *queues_[registers_.queue_select];
    Queue::Rings rings = selected.rings();
    if (offset == VIRTIO_PCI_COMMON_Q_SIZE && bytes == 2) {
        rings.size = static_cast<uint16_t>(value);
    } else if (offset == VIRTIO_PCI_COMMON_Q_MSIX && bytes == 2) {
        registers_.queue_vectors[registers_.queue_select] = usable_vector(value);
    } else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE && bytes == 2) {
        if (value != 1 || selected.enabled()) return;
        selected.enable();
        if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) start_queues();
        return;
    } else if (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && (bytes == 4 || bytes == 8) && offset % bytes == 0) {
        // Three 64-bit fields, written in halves or at once.
        uint64_t* fields[] = {&rings.descriptors, &rings.available, &rings.used};
        uint64_t index = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 8;
        if (index >= std::size(fields)) return;
        unsigned shift = static_cast<unsigned>(offset % 8) * 8;
        uint64_t mask = bytes == 8 ? ~uint64_t{0} : uint64_t{0xffffffff} << shift;
        *fields[index] = (*fields[index] & ~mask) | ((value << shift) & mask);
    }
    selected.set_rings(rings);
}

uint16_t PciTransport::usable_vector(uint64_t vector) const {
    return vector < msix_vectors() ? static_cast<uint16_t>(vector) : VIRTIO_MSI_NO_VECTOR;
}

// 2.1 and 3.1.1. Bits are only ever added, except by writing 0, which resets.
void PciTransport::write_status(uint8_t value) {
    Registers& r = registers_;
    if (value == 0) return reset_device();
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

void PciTransport::start_queues() {
    bool indirect = has_feature(registers_.driver_features, VIRTIO_RING_F_INDIRECT_DESC);
    bool event_index = has_feature(registers_.driver_features, VIRTIO_RING_F_EVENT_IDX);
    bool broken = false;
    for (auto& each : queues_) {
        each->start(indirect, event_index);
        broken = broken || each->broken();
    }
    if (broken) needs_reset();
}

uint64_t PciTransport::read_isr(uint64_t offset) {
    if (offset != 0) return 0;
    uint8_t isr = std::exchange(registers_.isr, 0);
    set_intx(false);
    return isr;
}

uint64_t PciTransport::read_device_config(uint64_t offset, unsigned bytes) {
    uint32_t size = device_->config_size();
    if (offset >= size) return 0;
    std::array<uint8_t, 8> raw{};
    device_->read_config(static_cast<uint32_t>(offset), std::span(raw).first(std::min<uint64_t>(bytes, size - offset)));
    return load_le<uint64_t>(raw.data());
}

void PciTransport::write_device_config(uint64_t offset, unsigned bytes, uint64_t value) {
    uint32_t size = device_->config_size();
    if (offset >= size || bytes > size - offset) return;
    std::array<uint8_t, 8> raw{};
    store_le(raw.data(), value);
    device_->write_config(static_cast<uint32_t>(offset), std::span(raw).first(bytes));
}

bool PciTransport::config_window(unsigned& bar, uint32_t& offset, uint32_t& length) const {
    bar = config().get<uint8_t>(window_capability_ + VIRTIO_PCI_CAP_BAR);
    offset = config().get<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_OFFSET);
    length = config().get<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_LENGTH);
    bool whole = (length == 1 || length == 2 || length == 4) && offset % length == 0;
    return whole && uint64_t{offset} + length <= bar_size(bar);
}

void PciTransport::config_reading(unsigned offset, unsigned bytes) {
    unsigned data = window_capability_ + sizeof(virtio_pci_cap);
    unsigned bar;
    uint32_t at, length;
    if (!touches(offset, bytes, data, 4) || !config_window(bar, at, length)) return;
    config().set<uint32_t>(data, static_cast<uint32_t>(read_bar(bar, at, length)));
}

void PciTransport::config_written(unsigned offset, unsigned bytes) {
    if (touches(offset, bytes, PCI_COMMAND, 2)) schedule_all();  // bus mastering may just have been allowed
    unsigned data = window_capability_ + sizeof(virtio_pci_cap);
    unsigned bar;
    uint32_t at, length;
    if (!touches(offset, bytes, data, 4) || !config_window(bar, at, length)) return;
    uint64_t value = config().get<uint32_t>(data) & pci::all_ones(length);
    write_bar(bar, at, length, value);
}

void PciTransport::schedule_all() {
    for (unsigned i = 0; i < queues_.size(); i++) schedule(i);
}

void PciTransport::schedule(unsigned index) {
    if (!running()) return;  // and once it is, all queues are looked at
    scheduled_[index] = true;
    if (!std::exchange(posted_, true)) post();
}

void PciTransport::post() {
    loop_.post([anchor = anchor_] {
        std::lock_guard alive(anchor->lock);
        if (anchor->transport != nullptr) anchor->transport->process();
    });
}

void PciTransport::process() {
    std::lock_guard guard(lock());
    posted_ = false;
    for (unsigned i = 0; i < queues_.size(); i++) {
        if (!scheduled_[i]) continue;
        scheduled_[i] = false;
        if (running()) device_->notify(i);
    }
}

void PciTransport::complete(unsigned index) {
    if (queues_[index]->broken()) return needs_reset();
    if (queues_[index]->take_notification()) interrupt(registers_.queue_vectors[index], kIsrQueue);
}

void PciTransport::config_changed() {
    registers_.config_generation++;
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) interrupt(registers_.config_vector, kIsrConfig);
}

void PciTransport::needs_reset() {
    if ((registers_.status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) return;
    registers_.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if ((registers_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0) interrupt(registers_.config_vector, kIsrConfig);
}

void PciTransport::interrupt(uint16_t vector, uint8_t isr) {
    if (pci::Msix* msix = enabled_msix()) return msix->raise(vector);
    registers_.isr |= isr;
    set_intx(true);
}

void PciTransport::reset_device() {
    for (auto& each : queues_) each->reset();
    device_->reset();
    std::fill(scheduled_.begin(), scheduled_.end(), false);
    registers_ = Registers{.queue_vectors = std::vector<uint16_t>(queues_.size(), VIRTIO_MSI_NO_VECTOR)};
    set_intx(false);
}

}  // namespace doppel::device::virtio
