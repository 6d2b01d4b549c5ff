// What the transports have in common: the device and its queues, negotiation and status, and how the I/O thread gets to
// process what the driver made available. PCI and MMIO differ in where the registers lie and how they interrupt.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/event_loop.h"
#include "device/virtio/virtio_device.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio {

// Registers are accessed on vCPU threads and queues on the loop's, all under the transport's lock, which is held in
// every call here but constructor and destructor. Memory and loop outlive it; it may be destroyed while messages of its
// own are still in the loop.
class TransportCore : protected Transport {
  protected:
    TransportCore(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop);
    // For the transport's destructor: from now on messages in the loop find it gone.
    void retire();

    // Causes of an interrupt, as both transports number them (4.1.4.5, 4.2.2).
    static constexpr uint8_t kQueueCause = 1, kConfigCause = 2;

    // What a transport adds.
    virtual bool reaches_memory() const { return true; }  // false: the device must not touch any
    virtual void interrupt_for_queue(unsigned index) = 0;
    virtual void interrupt_for_config() = 0;
    virtual void reset_transport() = 0;  // `reset_core` and its own

    VirtioDevice& device() const { return *device_; }
    unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
    void reset_core();

    // 2.1: what a driver reads. After it has reset the device it waits for 0 (2.4.2, 4.1.4.3.2).
    uint8_t status() const;
    // Bits are only ever added, except by writing 0, which resets.
    void write_status(uint8_t value);
    uint8_t config_generation() const { return registers_.config_generation; }

    // Features, by halves of 32 bits.
    uint32_t device_feature_select() const { return registers_.device_feature_select; }
    uint32_t driver_feature_select() const { return registers_.driver_feature_select; }
    void select_device_features(uint32_t half) { registers_.device_feature_select = half; }
    void select_driver_features(uint32_t half) { registers_.driver_feature_select = half; }
    uint32_t device_features() const;
    uint32_t driver_features() const;
    void write_driver_features(uint32_t value);

    // The selected queue; null when the driver selected none that is there.
    uint16_t queue_select() const { return registers_.queue_select; }
    void select_queue(uint32_t index);
    Queue* selected_queue() const;
    void set_queue_size(uint64_t size);
    // One of its three addresses: those bits of it that are in `mask`.
    enum class RingAddress : unsigned { kDescriptors = 0, kAvailable = 1, kUsed = 2 };
    void set_ring_address(RingAddress which, uint64_t mask, uint64_t value);
    void enable_queue();

    // Why the driver was interrupted, until it has seen that.
    uint8_t causes() const { return registers_.causes; }
    void add_cause(uint8_t cause) { registers_.causes |= cause; }
    void clear_causes(uint8_t causes) { registers_.causes &= ~causes; }

    // The device-specific configuration: beyond its end reads give 0 and writes do nothing.
    uint64_t read_device_config(uint64_t offset, unsigned bytes);
    void write_device_config(uint64_t offset, unsigned bytes, uint64_t value);

    void schedule(unsigned index) override;
    void schedule_all();

    // Saved state, with tags up to kLastCoreTag and from kFirstQueueTag on. `restore_core` takes all of it or changes
    // nothing; it finishes the reader, so a transport reads its own before. `core_restored` when all is in place.
    static constexpr uint16_t kLastCoreTag = 15;
    void save_core(StateWriter& writer) const;
    Result<> restore_core(StateReader& reader);
    void core_restored();
    Error not_this_device() const;

  private:
    struct Registers {
        uint32_t device_feature_select = 0;
        uint32_t driver_feature_select = 0;
        uint64_t driver_features = 0;
        uint8_t status = 0;
        uint8_t config_generation = 0;
        uint8_t causes = 0;
        uint16_t queue_select = 0;
        template <class V>
        void fields(V& v) {
            v.field(1, device_feature_select);
            v.field(2, driver_feature_select);
            v.field(3, driver_features);
            v.field(4, status);
            v.field(5, config_generation);
            v.field(6, causes);
            v.field(7, queue_select);
        }
    };
    // Outlives the transport in messages that are still in the loop.
    struct Anchor {
        std::mutex lock;  // before the transport's lock
        TransportCore* transport;
    };

    EventLoop& loop() override { return loop_; }
    Queue& queue(unsigned index) override { return *queues_[index]; }
    void complete(unsigned index) override;
    void config_changed() override;
    void needs_reset() override;

    uint64_t offered_features() const;
    bool acceptable(uint64_t driver_features) const;
    bool running() const;
    void start_queues();
    void post();
    void process();

    EventLoop& loop_;
    std::vector<std::unique_ptr<Queue>> queues_;
    Registers registers_;
    std::vector<bool> scheduled_;  // by queue
    bool posted_ = false;          // a message of ours is in the loop
    std::shared_ptr<Anchor> anchor_;
    std::unique_ptr<VirtioDevice> device_;  // goes first, and may use what is above
};

}  // namespace doppel::device::virtio
