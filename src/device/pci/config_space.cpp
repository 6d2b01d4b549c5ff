#include "device/pci/config_space.h"

#include <linux/pci_regs.h>

#include <cstring>

namespace doppel::device::pci {

unsigned ConfigSpace::add_capability(uint8_t id, unsigned bytes) {
    unsigned offset = capabilities_end_;
    capabilities_end_ += (bytes + 3) & ~3u;
    define<uint8_t>(last_link_ == 0 ? PCI_CAPABILITY_LIST : last_link_, static_cast<uint8_t>(offset));
    last_link_ = offset + PCI_CAP_LIST_NEXT;
    define<uint8_t>(offset + PCI_CAP_LIST_ID, id);
    define<uint8_t>(last_link_, 0);
    define<uint16_t>(PCI_STATUS, get<uint16_t>(PCI_STATUS) | PCI_STATUS_CAP_LIST);
    return offset;
}

uint32_t ConfigSpace::read(unsigned offset, unsigned bytes) const {
    if (offset >= kSize || bytes > kSize - offset) return ~0u;
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= static_cast<uint32_t>(image_.values[offset + i]) << (8 * i);
    return value;
}

void ConfigSpace::write(unsigned offset, unsigned bytes, uint32_t value) {
    if (offset >= kSize || bytes > kSize - offset) return;
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t mask = writable_[offset + i];
        uint8_t& byte = image_.values[offset + i];
        byte = static_cast<uint8_t>((byte & ~mask) | ((value >> (8 * i)) & mask));
    }
}

Result<> ConfigSpace::check(const Image& image) const {
    bool same_kind = std::memcmp(&image.values[PCI_VENDOR_ID], &defaults_[PCI_VENDOR_ID], 4) == 0 &&
                     std::memcmp(&image.values[PCI_CLASS_REVISION], &defaults_[PCI_CLASS_REVISION], 4) == 0;
    if (!same_kind) {
        return fail(Error{"restore", "PCI configuration", "it is of another kind of device",
                          "start the machine with the devices that it was saved with"});
    }
    return {};
}

void ConfigSpace::adopt(const Image& image) {
    for (unsigned i = 0; i < kSize; i++) {
        image_.values[i] = static_cast<uint8_t>((defaults_[i] & ~writable_[i]) | (image.values[i] & writable_[i]));
    }
}

}  // namespace doppel::device::pci
