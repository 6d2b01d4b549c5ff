// The memory balloon (virtio 1.2, 5.5): takes memory from the guest and gives it back, and returns to the host what the
// guest has no use for at the moment (free page reporting).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "device/virtio/virtio_device.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio::balloon {

// What the guest last said of its memory, in bytes and counts since its boot; it may lie. Nothing for what it left out.
struct Statistics {
    static constexpr size_t kCount = 10;
    // By VIRTIO_BALLOON_S_*: swapped in, swapped out, major faults, minor faults, free, total, available, caches, huge
    // pages taken, huge pages refused.
    std::array<std::optional<uint64_t>, kCount> values;
    bool operator==(const Statistics&) const = default;
};

// Queues: inflate, deflate, statistics, and from there on free page reports. Pages in the balloon, and pages that are
// reported free, go back to the host at once; the guest reads zeroes when it uses them again.
class BalloonDevice final : public VirtioDevice {
  public:
    // A chain that names more pages in the balloon than these is believed no further: the I/O thread has other work.
    static constexpr uint32_t kMaxPages = 1024;
    static constexpr uint16_t kQueueSize = 64;

    // `memory` outlives the device.
    explicit BalloonDevice(memory::GuestMemory& memory) : memory_(memory) {}

    // How much memory the guest shall hand over, in bytes, rounded down to pages; the rest it may use. Any thread.
    void set_target(uint64_t bytes);
    uint64_t target() const;
    // What the balloon holds, as the guest says. Any thread.
    uint64_t actual() const;

    // The guest is asked for fresh statistics; `told`, on the I/O thread and without the device's lock, when they came.
    // One request at a time: a later one takes the place of an earlier. Any thread.
    void request_statistics(std::function<void(const Statistics&)> told);

    std::string_view name() const override { return "virtio-balloon"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    uint64_t features() const override;
    std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void write_config(uint32_t offset, std::span<const uint8_t> from) override;
    void activate(uint64_t features) override { negotiated_ = features; }
    void notify(unsigned queue) override;
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    static constexpr std::array<uint16_t, 5> kQueueSizes = {kQueueSize, kQueueSize, kQueueSize, kQueueSize, kQueueSize};
    // In units of 4 KiB, as the configuration has them.
    struct State {
        uint32_t target = 0;
        uint32_t actual = 0;
        uint32_t poison = 0;  // what the guest fills free pages with
        template <class V>
        void fields(V& v) {
            v.field(1, target);
            v.field(2, actual);
            v.field(3, poison);
        }
    };
    bool negotiated(unsigned bit) const { return (negotiated_ >> bit & 1) != 0; }
    void inflate(const Chain& chain);
    void report(const Chain& chain);
    void take_statistics();
    static Statistics read(const Chain& chain);

    memory::GuestMemory& memory_;
    State state_;
    uint64_t negotiated_ = 0;
    std::optional<Chain> statistics_buffer_;  // the guest's, until statistics are asked for
    std::function<void(const Statistics&)> told_;
};

}  // namespace doppel::device::virtio::balloon
