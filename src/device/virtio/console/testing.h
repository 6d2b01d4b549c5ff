// A backend for tests, and a driver that speaks with the console device over all of its queues.
#pragma once

#include <linux/virtio_console.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "device/virtio/console/device.h"
#include "device/virtio/fake_driver.h"

namespace doppel::device::virtio::console {

// Takes `appetite` bytes and then refuses.
class FakeBackend final : public PortBackend {
  public:
    size_t take(std::span<const uint8_t> bytes) override {
        size_t taken = std::min(bytes.size(), appetite);
        appetite -= taken;
        got.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
        return taken;
    }
    void room_again() override { rooms++; }
    void guest_opened(bool open) override { openings.push_back(open); }

    size_t appetite = ~size_t{0};
    std::string got;
    int rooms = 0;
    std::vector<bool> openings;
};

inline constexpr uint64_t kMultiport = uint64_t{1} << VIRTIO_CONSOLE_F_MULTIPORT;
inline constexpr uint64_t kConsoleSize = uint64_t{1} << VIRTIO_CONSOLE_F_SIZE;
inline constexpr uint64_t kEmergency = uint64_t{1} << VIRTIO_CONSOLE_F_EMERG_WRITE;

// Rings of queue i at 0x30000 * i, a buffer of a page for each descriptor behind them all.
class ConsoleDriver {
  public:
    static constexpr unsigned kSlot = 1;
    static constexpr uint16_t kSize = 16;
    static constexpr unsigned kQueues = 6;
    static constexpr uint64_t kBuffers = kFakeRam + kQueues * 0x30000;

    explicit ConsoleDriver(FakeMachine& machine) : machine_(&machine), driver_(machine, kSlot) {}

    bool start(uint64_t features, unsigned queues = kQueues) {
        if (!driver_.discover() || !driver_.negotiate(features | kVersion1Feature)) return false;
        for (unsigned i = 0; i < queues; i++) {
            rings_[i] = driver_.set_up_queue(static_cast<uint16_t>(i), kSize, kFakeRam + i * uint64_t{0x30000});
        }
        driver_.ready();
        return true;
    }
    void move_to(FakeMachine& machine) {
        machine_ = &machine;
        driver_.move_to(machine);
    }
    static uint64_t buffer(unsigned queue, uint16_t head) {
        return kBuffers + (uint64_t{queue} * kSize + head) * 0x1000;
    }
    void offer_buffer(unsigned queue, uint16_t head, uint32_t length = 0x1000) {
        driver_.submit(rings_[queue], head, {{buffer(queue, head), length, kWrite}});
        driver_.kick(rings_[queue]);
        machine_->settle();
    }
    void write(unsigned queue, uint16_t head, std::string_view bytes) {
        (void)machine_->memory.write(buffer(queue, head),
                                     {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
        driver_.submit(rings_[queue], head, {{buffer(queue, head), static_cast<uint32_t>(bytes.size())}});
        driver_.kick(rings_[queue]);
        machine_->settle();
    }
    std::optional<FakeDriver::Used> take(unsigned queue) { return driver_.take(rings_[queue]); }
    // What came in the next used buffer, or "(nothing)".
    std::string read(unsigned queue) {
        auto used = take(queue);
        if (!used) return "(nothing)";
        std::string bytes(used->written, 0);
        (void)machine_->memory.read(buffer(queue, used->head),
                                    {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
        return bytes;
    }
    void control(uint32_t id, uint16_t event, uint16_t value) {
        write(3, control_head_++ % kSize, message(id, event, value));
        take(3);
    }
    static std::string message(uint32_t id, uint16_t event, uint16_t value, std::string_view more = {}) {
        std::string raw(8, 0);
        store_le(raw.data(), id);
        store_le(raw.data() + 4, event);
        store_le(raw.data() + 6, value);
        return raw + std::string(more);
    }
    FakeDriver& raw() { return driver_; }

  private:
    FakeMachine* machine_;
    FakeDriver driver_;
    std::array<FakeDriver::Ring, kQueues> rings_;
    uint16_t control_head_ = 0;
};

}  // namespace doppel::device::virtio::console
