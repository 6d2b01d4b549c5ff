// The input device (virtio 1.2, 5.8): a keyboard with one key, which asks the guest to shut down.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "device/virtio/virtio_device.h"

namespace doppel::device::virtio::input {

// Queues: events to the driver, status (LEDs and the like) from it, which this key has none of.
class PowerKeyDevice final : public VirtioDevice {
  public:
    static constexpr uint16_t kQueueSize = 64;
    static constexpr size_t kMaxPending = 32;  // events that no buffer of the driver has taken yet

    // Pressed and let go. False when there is no driver to hear of it, or one that has not taken the presses before
    // this one. Any thread.
    bool press_power();

    std::string_view name() const override { return "virtio-input"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void write_config(uint32_t offset, std::span<const uint8_t> from) override;
    void activate(uint64_t /*features*/) override { active_ = true; }
    void notify(unsigned queue) override;
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    static constexpr std::array<uint16_t, 2> kQueueSizes = {kQueueSize, kQueueSize};
    struct Event {
        uint16_t type;
        uint16_t code;
        uint32_t value;
    };
    std::vector<uint8_t> selected() const;

    uint8_t select_ = 0, subselect_ = 0;
    bool active_ = false;
    std::deque<Event> pending_;
};

}  // namespace doppel::device::virtio::input
