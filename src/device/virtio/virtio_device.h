// What a virtio device is, without its transport, and what a transport gives it.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "base/event_loop.h"
#include "base/saved_state.h"
#include "device/virtio/queue.h"

namespace doppel::device::virtio {

// The transport as its device sees it. Called under `device_lock()`, on any thread.
class Transport {
  public:
    virtual ~Transport() = default;

    virtual std::mutex& device_lock() const = 0;
    virtual EventLoop& loop() = 0;
    // `index` is below the number of the device's queues. The reference stays valid; a reset empties the queue.
    virtual Queue& queue(unsigned index) = 0;
    // Has VirtioDevice::notify called on the loop's thread, soon and once however often this is called meanwhile.
    virtual void schedule(unsigned index) = 0;
    // After chains were pushed: interrupts the driver if it wants to know, and marks the device if the queue is broken.
    virtual void complete(unsigned index) = 0;
    // The device-specific configuration changed.
    virtual void config_changed() = 0;
    // DEVICE_NEEDS_RESET (2.1): nothing is processed until the driver resets the device.
    virtual void needs_reset() = 0;

    // The next chain, for a device that takes them one by one; when there is none, the driver will notify of it.
    std::optional<Chain> next(unsigned index);

    // The loop of a device that finishes each chain at once: handles what is there, at most one queue's length at a
    // time so that no guest keeps the I/O thread to itself, suppressing notifications meanwhile. `handle` returns the
    // bytes it wrote.
    void drain(unsigned index, const std::function<uint64_t(Chain&)>& handle);
};

// Everything is called under the transport's device_lock(); `notify` on the I/O thread, the rest on any. After `reset`
// the device holds no chain any more: what is under way elsewhere finds its chains stale.
class VirtioDevice : public Saved {
  public:
    virtual std::string_view name() const = 0;
    virtual uint16_t id() const = 0;         // virtio 1.2, chapter 5
    virtual uint32_t pci_class() const = 0;  // class code, 24 bits
    virtual uint64_t features() const {
        return 0;
    }  // the device type's own; the transport adds those of rings and transport
    virtual std::span<const uint16_t> queue_sizes() const = 0;  // largest size of each queue: powers of two up to 32768

    // The device-specific configuration: `offset` and length lie inside `config_size()`.
    virtual uint32_t config_size() const { return 0; }
    virtual void read_config(uint32_t /*offset*/, std::span<uint8_t> /*to*/) {}
    virtual void write_config(uint32_t /*offset*/, std::span<const uint8_t> /*from*/) {}

    // Once, when the transport is made; it outlives the device.
    void attach(Transport& transport) { transport_ = &transport; }
    // The driver is ready (DRIVER_OK) with these features. Also after a restore, if it was ready then.
    virtual void activate(uint64_t /*features*/) {}
    virtual void notify(unsigned queue) = 0;  // chains may be there
    virtual void reset() = 0;
    // After a reset: what was under way still reads or writes guest memory, and the driver has to wait.
    virtual bool resetting() const { return false; }

  protected:
    Transport& transport() { return *transport_; }
    const Transport& transport() const { return *transport_; }

  private:
    Transport* transport_ = nullptr;
};

}  // namespace doppel::device::virtio
