#include "device/virtio/rng/device.h"

#include <linux/virtio_ids.h>

#include <algorithm>

namespace doppel::device::virtio::rng {

namespace {

constexpr uint32_t kClassOther = 0xff0000;
constexpr size_t kPiece = 4096;

}  // namespace

uint16_t RngDevice::id() const {
    return VIRTIO_ID_RNG;
}

uint32_t RngDevice::pci_class() const {
    return kClassOther;
}

void RngDevice::notify(unsigned queue) {
    transport().drain(queue, [this](Chain& chain) { return fill(chain); });
}

uint64_t RngDevice::fill(Chain& chain) {
    const uint64_t wanted = std::min(chain.writable_bytes(), kMaxRequest);
    uint64_t written = 0;
    std::array<uint8_t, kPiece> piece;
    while (written < wanted) {
        auto bytes = std::span(piece).first(std::min<uint64_t>(wanted - written, piece.size()));
        if (!source_(bytes)) {
            // A buffer must not come back without a byte in it (5.4.6.1), so the device is out of order instead.
            if (written == 0) transport().queue(0).mark_broken();
            break;
        }
        if (!chain.write(written, bytes)) break;
        written += bytes.size();
    }
    return written;
}

}  // namespace doppel::device::virtio::rng
