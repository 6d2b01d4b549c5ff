// A virtio device as a PCI function (virtio 1.2, 4.1): non-transitional, revision 1.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/event_loop.h"
#include "device/pci/function.h"
#include "device/virtio/virtio_device.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio {

// Registers are accessed on vCPU threads and queues on the loop's, all under the function's lock. Memory and loop
// outlive it; it may be destroyed while messages of its own are still in the loop.
//
// BAR 4 (64 bits, 16 KiB): common configuration, ISR status, device configuration, notifications, 4 KiB each. BAR 1:
// MSI-X, where messages can be delivered, with a vector for each queue and one for configuration changes.
class PciTransport final : public pci::Function, private Transport {
  public:
    PciTransport(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop);
    ~PciTransport() override;

    std::string_view name() const override { return device_->name(); }

  private:
    // The registers that survive a save, the queues' own apart.
    struct Registers {
        uint32_t device_feature_select = 0;
        uint32_t driver_feature_select = 0;
        uint64_t driver_features = 0;
        uint8_t status = 0;
        uint8_t config_generation = 0;
        uint8_t isr = 0;
        uint16_t queue_select = 0;
        uint16_t config_vector = 0xffff;
        std::vector<uint16_t> queue_vectors;
        template <class V>
        void fields(V& v) {
            v.field(1, device_feature_select);
            v.field(2, driver_feature_select);
            v.field(3, driver_features);
            v.field(4, status);
            v.field(5, config_generation);
            v.field(6, isr);
            v.field(7, queue_select);
            v.field(8, config_vector);
            v.field(9, queue_vectors);
        }
    };
    // Outlives the transport in messages that are still in the loop.
    struct Anchor {
        std::mutex lock;  // before the function's lock
        PciTransport* transport;
    };

    uint64_t read_device(unsigned bar, uint64_t offset, unsigned bytes) override;
    void write_device(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset_device() override;
    void save_device(StateWriter& writer) const override;
    Result<> restore_device(StateReader& reader) override;
    void restored() override;
    void config_reading(unsigned offset, unsigned bytes) override;
    void config_written(unsigned offset, unsigned bytes) override;

    std::mutex& device_lock() const override { return lock(); }
    EventLoop& loop() override { return loop_; }
    Queue& queue(unsigned index) override { return *queues_[index]; }
    void schedule(unsigned index) override;
    void complete(unsigned index) override;
    void config_changed() override;
    void needs_reset() override;

    unsigned add_region(uint8_t type, uint32_t offset, uint32_t length, unsigned capability_bytes);
    void add_capabilities();

    using CommonImage = std::array<uint8_t, 56>;
    CommonImage common_image() const;
    void write_common(uint64_t offset, unsigned bytes, uint64_t value);
    void write_queue(uint64_t offset, unsigned bytes, uint64_t value);
    void write_status(uint8_t value);
    uint64_t read_isr(uint64_t offset);
    uint64_t read_device_config(uint64_t offset, unsigned bytes);
    void write_device_config(uint64_t offset, unsigned bytes, uint64_t value);
    // The window in configuration space (4.1.4.9); false unless the driver has aimed it at a register of a BAR.
    bool config_window(unsigned& bar, uint32_t& offset, uint32_t& length) const;

    uint64_t offered_features() const;
    bool acceptable(uint64_t driver_features) const;
    bool running() const;
    void start_queues();
    void schedule_all();
    void post();
    void process();
    void interrupt(uint16_t vector, uint8_t isr);
    uint16_t usable_vector(uint64_t vector) const;

    std::unique_ptr<VirtioDevice> device_;
    EventLoop& loop_;
    std::vector<std::unique_ptr<Queue>> queues_;
    Registers registers_;
    std::vector<bool> scheduled_;  // by queue
    bool posted_ = false;          // a message of ours is in the loop
    unsigned window_capability_ = 0;
    std::shared_ptr<Anchor> anchor_;
};

}  // namespace doppel::device::virtio
