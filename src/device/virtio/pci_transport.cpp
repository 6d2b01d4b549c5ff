#include "device/virtio/pci_transport.h"

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
constexpr uint16_t kVectorsTag = 16;  // of the saved state, behind TransportCore's

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
    : Function(identity_of(*device)), TransportCore(std::move(device), memory, loop) {
    static_assert(kConfigCause == VIRTIO_PCI_ISR_CONFIG);
    vectors_.queues.assign(queue_count(), VIRTIO_MSI_NO_VECTOR);
    add_bar({.index = kRegisterBar, .size = 4 * uint64_t{kRegionSize}, .wide = true});
    offer_msix(kMsixBar, queue_count() + 1);
    add_capabilities();
}

// Linux acknowledges a device again when its driver has gone.
bool PciTransport::free() const {
    std::lock_guard guard(lock());
    return (status() & ~VIRTIO_CONFIG_S_ACKNOWLEDGE) == 0 && !device().resetting();
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
    if (device().config_size() != 0) {
        add_region(VIRTIO_PCI_CAP_DEVICE_CFG, kDeviceConfig, device().config_size(), kPlain);
    }
    auto notify_bytes = queue_count() * kNotifyMultiplier;
    unsigned notify = add_region(VIRTIO_PCI_CAP_NOTIFY_CFG, kNotify, notify_bytes, sizeof(virtio_pci_notify_cap));
    config().define<uint32_t>(notify + VIRTIO_PCI_NOTIFY_CAP_MULT, kNotifyMultiplier);

    window_capability_ = add_region(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(virtio_pci_cfg_cap));
    config().define<uint8_t>(window_capability_ + VIRTIO_PCI_CAP_BAR, 0, 0xff);
    config().define<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_OFFSET, 0, ~0u);
    config().define<uint32_t>(window_capability_ + VIRTIO_PCI_CAP_LENGTH, 0, ~0u);
    config().define<uint32_t>(window_capability_ + sizeof(virtio_pci_cap), 0, ~0u);
}

// 4.1.4.3. Reads have no side effects, so they are cut out of an image of the whole structure.
PciTransport::CommonImage PciTransport::common_image() const {
    CommonImage image{};
    store_le(&image[VIRTIO_PCI_COMMON_DFSELECT], device_feature_select());
    store_le(&image[VIRTIO_PCI_COMMON_DF], device_features());
    store_le(&image[VIRTIO_PCI_COMMON_GFSELECT], driver_feature_select());
    store_le(&image[VIRTIO_PCI_COMMON_GF], driver_features());
    store_le(&image[VIRTIO_PCI_COMMON_MSIX], vectors_.config);
    store_le(&image[VIRTIO_PCI_COMMON_NUMQ], static_cast<uint16_t>(queue_count()));
    image[VIRTIO_PCI_COMMON_STATUS] = status();
    image[VIRTIO_PCI_COMMON_CFGGENERATION] = config_generation();
    store_le(&image[VIRTIO_PCI_COMMON_Q_SELECT], queue_select());
    const Queue* selected = selected_queue();
    if (selected == nullptr) return image;  // size 0: there is no such queue
    store_le(&image[VIRTIO_PCI_COMMON_Q_SIZE], selected->rings().size);
    store_le(&image[VIRTIO_PCI_COMMON_Q_MSIX], vectors_.queues[queue_select()]);
    store_le(&image[VIRTIO_PCI_COMMON_Q_ENABLE], static_cast<uint16_t>(selected->enabled()));
    store_le(&image[VIRTIO_PCI_COMMON_Q_NOFF], queue_select());
    store_le(&image[VIRTIO_PCI_COMMON_Q_DESCLO], selected->rings().descriptors);
    store_le(&image[VIRTIO_PCI_COMMON_Q_AVAILLO], selected->rings().available);
    store_le(&image[VIRTIO_PCI_COMMON_Q_USEDLO], selected->rings().used);
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
            if (inside / kNotifyMultiplier < queue_count()) schedule(static_cast<unsigned>(inside / kNotifyMultiplier));
            return;
        default:
            return;
    }
}

// A field is written with its own width (4.1.3.1); anything else is ignored.
void PciTransport::write_common(uint64_t offset, unsigned bytes, uint64_t value) {
    constexpr auto kKey = [](uint64_t at, unsigned width) { return at << 4 | width; };
    switch (kKey(offset, bytes)) {
        case kKey(VIRTIO_PCI_COMMON_DFSELECT, 4):
            return select_device_features(static_cast<uint32_t>(value));
        case kKey(VIRTIO_PCI_COMMON_GFSELECT, 4):
            return select_driver_features(static_cast<uint32_t>(value));
        case kKey(VIRTIO_PCI_COMMON_GF, 4):
            return write_driver_features(static_cast<uint32_t>(value));
        case kKey(VIRTIO_PCI_COMMON_MSIX, 2):
            vectors_.config = usable_vector(value);
            return;
        case kKey(VIRTIO_PCI_COMMON_STATUS, 1):
            return write_status(static_cast<uint8_t>(value));
        case kKey(VIRTIO_PCI_COMMON_Q_SELECT, 2):
            return select_queue(static_cast<uint16_t>(value));
        default:
            return;
    }
}

void PciTransport::write_queue(uint64_t offset, unsigned bytes, uint64_t value) {
    if (selected_queue() == nullptr) return;
    if (offset == VIRTIO_PCI_COMMON_Q_SIZE && bytes == 2) {
        set_queue_size(value & 0xffff);
    } else if (offset == VIRTIO_PCI_COMMON_Q_MSIX && bytes == 2) {
        vectors_.queues[queue_select()] = usable_vector(value);
    } else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE && bytes == 2) {
        if (value == 1) enable_queue();
    } else if (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && (bytes == 4 || bytes == 8) && offset % bytes == 0) {
        // Three 64-bit fields, written in halves or at once.
        uint64_t index = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 8;
        if (index > static_cast<unsigned>(RingAddress::kUsed)) return;
        unsigned shift = static_cast<unsigned>(offset % 8) * 8;
        uint64_t mask = bytes == 8 ? ~uint64_t{0} : uint64_t{0xffffffff} << shift;
        set_ring_address(static_cast<RingAddress>(index), mask, value << shift);
    }
}

uint16_t PciTransport::usable_vector(uint64_t vector) const {
    return vector < msix_vectors() ? static_cast<uint16_t>(vector) : VIRTIO_MSI_NO_VECTOR;
}

uint64_t PciTransport::read_isr(uint64_t offset) {
    if (offset != 0) return 0;
    uint8_t isr = causes();
    clear_causes(isr);
    set_intx(false);
    return isr;
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

void PciTransport::interrupt(uint16_t vector, uint8_t cause) {
    if (pci::Msix* msix = enabled_msix()) return msix->raise(vector);
    add_cause(cause);
    set_intx(true);
}

void PciTransport::reset_transport() {
    reset_core();
    vectors_ = Vectors{.queues = std::vector<uint16_t>(queue_count(), VIRTIO_MSI_NO_VECTOR)};
    set_intx(false);
}

void PciTransport::save_device(StateWriter& writer) const {
    save_core(writer);
    Vectors vectors = vectors_;
    writer.section(kVectorsTag, vectors);
}

Result<> PciTransport::restore_device(StateReader& reader) {
    Vectors vectors = vectors_;
    reader.section(kVectorsTag, vectors);
    if (vectors.queues.size() != queue_count()) return fail(not_this_device());
    DOPPEL_CHECK(restore_core(reader));
    vectors_.config = usable_vector(vectors.config);
    for (unsigned i = 0; i < queue_count(); i++) vectors_.queues[i] = usable_vector(vectors.queues[i]);
    return {};
}

}  // namespace doppel::device::virtio
