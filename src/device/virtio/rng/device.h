// The entropy device (virtio 1.2, 5.4).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "base/entropy.h"
#include "device/virtio/virtio_device.h"

namespace doppel::device::virtio::rng {

// Fills all of the span with random bytes; false if it cannot. Called on the I/O thread.
using EntropySource = std::function<bool(std::span<uint8_t>)>;

// One queue. A request gets as many bytes as it has room for, up to kMaxRequest.
class RngDevice final : public VirtioDevice {
  public:
    static constexpr uint64_t kMaxRequest = 64 * 1024;
    static constexpr uint16_t kQueueSize = 256;

    explicit RngDevice(EntropySource source = host_entropy) : source_(std::move(source)) {}

    std::string_view name() const override { return "virtio-rng"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
    void notify(unsigned queue) override;
    void reset() override {}

    // It has no state of its own: entropy is never repeated in a copy.
    void save(StateWriter&) const override {}
    Result<> restore(StateReader&) override { return {}; }

  private:
    static constexpr std::array<uint16_t, 1> kQueueSizes = {kQueueSize};
    uint64_t fill(Chain& chain);

    EntropySource source_;
};

}  // namespace doppel::device::virtio::rng
