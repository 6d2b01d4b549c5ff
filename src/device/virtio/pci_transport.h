// A virtio device as a PCI function (virtio 1.2, 4.1): non-transitional, revision 1.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/event_loop.h"
#include "device/pci/function.h"
#include "device/virtio/transport_core.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio {

// Registers are accessed on vCPU threads and queues on the loop's, all under the function's lock. Memory and loop
// outlive it; it may be destroyed while messages of its own are still in the loop.
//
// BAR 4 (64 bits, 16 KiB): common configuration, ISR status, device configuration, notifications, 4 KiB each. BAR 1:
// MSI-X, where messages can be delivered, with a vector for each queue and one for configuration changes.
class PciTransport final : public pci::Function, private TransportCore {
  public:
    PciTransport(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop);
    ~PciTransport() override { retire(); }

    std::string_view name() const override { return device().name(); }
    // No driver has it: it was reset, and nothing is under way. Any thread.
    bool free() const;

  private:
    // MSI-X vectors, for configuration changes and by queue.
    struct Vectors {
        uint16_t config = 0xffff;
        std::vector<uint16_t> queues;
        template <class V>
        void fields(V& v) {
            v.field(1, config);
            v.field(2, queues);
        }
    };

    uint64_t read_device(unsigned bar, uint64_t offset, unsigned bytes) override;
    void write_device(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset_device() override { reset_transport(); }
    void save_device(StateWriter& writer) const override;
    Result<> restore_device(StateReader& reader) override;
    void restored() override { core_restored(); }
    void config_reading(unsigned offset, unsigned bytes) override;
    void config_written(unsigned offset, unsigned bytes) override;

    std::mutex& device_lock() const override { return lock(); }
    bool reaches_memory() const override { return bus_master(); }
    void interrupt_for_queue(unsigned index) override { interrupt(vectors_.queues[index], kQueueCause); }
    void interrupt_for_config() override { interrupt(vectors_.config, kConfigCause); }
    void reset_transport() override;

    unsigned add_region(uint8_t type, uint32_t offset, uint32_t length, unsigned capability_bytes);
    void add_capabilities();

    using CommonImage = std::array<uint8_t, 56>;
    CommonImage common_image() const;
    void write_common(uint64_t offset, unsigned bytes, uint64_t value);
    void write_queue(uint64_t offset, unsigned bytes, uint64_t value);
    uint64_t read_isr(uint64_t offset);
    // The window in configuration space (4.1.4.9); false unless the driver has aimed it at a register of a BAR.
    bool config_window(unsigned& bar, uint32_t& offset, uint32_t& length) const;

    void interrupt(uint16_t vector, uint8_t cause);
    uint16_t usable_vector(uint64_t vector) const;

    Vectors vectors_;
    unsigned window_capability_ = 0;
};

}  // namespace doppel::device::virtio
