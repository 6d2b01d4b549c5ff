// A virtio device behind memory-mapped registers and one wire (virtio 1.2, 4.2): version 2.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "device/device.h"
#include "device/interrupt.h"
#include "device/virtio/transport_core.h"

namespace doppel::device::virtio {

// Memory and loop outlive it; it may be destroyed while messages of its own are still in the loop.
class MmioTransport final : public Device, public Saved, private TransportCore {
  public:
    static constexpr uint64_t kSize = 0x1000;

    MmioTransport(std::unique_ptr<VirtioDevice> device, memory::GuestMemory& memory, EventLoop& loop,
                  InterruptLine line)
        : TransportCore(std::move(device), memory, loop), line_(line) {}
    ~MmioTransport() override { retire(); }

    std::string_view name() const override { return device().name(); }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override { reset_transport(); }

    // Both take lock().
    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    std::mutex& device_lock() const override { return lock(); }
    void interrupt_for_queue(unsigned /*index*/) override { interrupt(kQueueCause); }
    void interrupt_for_config() override { interrupt(kConfigCause); }
    void reset_transport() override;
    void interrupt(uint8_t cause);

    uint32_t read_register(uint64_t offset) const;
    void write_register(uint64_t offset, uint32_t value);
    bool write_ring_address(uint64_t offset, uint32_t value);
    void set_ready(bool ready);

    const InterruptLine line_;
};

}  // namespace doppel::device::virtio
