// The way to the guest's agent, as bytes: a port of the console device.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/event_loop.h"
#include "device/virtio/console/device.h"

namespace doppel::machine::agent {

// On the loop's thread, as everything here that says nothing else.
class PipeListener {
  public:
    virtual ~PipeListener() = default;
    virtual void pipe_opened(bool open) = 0;  // by the guest; once more `true` begins anew
    virtual void pipe_received(std::span<const uint8_t> bytes) = 0;
    virtual void pipe_has_room() = 0;  // after a refusal
};

class Pipe {
  public:
    virtual ~Pipe() = default;
    // All of it (at most a frame's size) or nothing; pipe_has_room() follows.
    [[nodiscard]] virtual bool send(std::span<const uint8_t> bytes) = 0;
    virtual void listen(PipeListener& listener) = 0;
};

// Over a port of the console device, which calls from any thread.
class PortPipe final : public Pipe, public device::virtio::console::PortBackend {
  public:
    static constexpr size_t kCapacity = 256 << 10;  // bytes from the guest that wait for the loop

    explicit PortPipe(EventLoop& loop) : loop_(loop) {}
    // Before the device is used. It outlives the pipe's use.
    void connect(device::virtio::console::ConsoleDevice& device, unsigned port) {
        device_ = &device;
        port_ = port;
    }

    bool send(std::span<const uint8_t> bytes) override { return device_->send(port_, bytes); }
    void listen(PipeListener& listener) override { listener_ = &listener; }

    size_t take(std::span<const uint8_t> bytes) override;
    void room_again() override;
    void guest_opened(bool open) override;

  private:
    void post_locked();
    void deliver();

    EventLoop& loop_;
    device::virtio::console::ConsoleDevice* device_ = nullptr;
    unsigned port_ = 0;
    PipeListener* listener_ = nullptr;

    std::mutex lock_;  // leaf, under the device's
    std::vector<uint8_t> bytes_;
    bool posted_ = false;
    bool refused_ = false;
    bool room_ = false;
    bool changed_ = false;  // opened or closed, perhaps both
    bool open_ = false;
};

}  // namespace doppel::machine::agent
