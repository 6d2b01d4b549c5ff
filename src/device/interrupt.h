// Interrupt lines: how a device reaches a controller, and a controller a vCPU, without knowing either.
#pragma once

#include <cstdint>

namespace doppel::device {

// Something with numbered, level-triggered inputs. Thread-safe; called with the raising device's lock held, so an
// implementation takes at most its own lock (order: device, then interrupt controller, then vCPU).
class InterruptSink {
  public:
    virtual ~InterruptSink() = default;
    virtual void set_level(uint32_t input, bool level) = 0;
};

// Where message-signalled interrupts go: a 32-bit little-endian store of `data` to `address` (PCI 3.0, 6.8).
// Thread-safe; called with the raising device's lock held, so the same order of locks holds. Addresses come from the
// guest and may be anything.
class MsiSink {
  public:
    virtual ~MsiSink() = default;
    virtual void send(uint64_t address, uint32_t data) = 0;
};

// One input of a sink; copyable. A default-made line is connected to nothing. The sink must outlive it.
class InterruptLine {
  public:
    InterruptLine() = default;
    InterruptLine(InterruptSink& sink, uint32_t input) : sink_(&sink), input_(input) {}
    void set(bool level) const {
        if (sink_ != nullptr) sink_->set_level(input_, level);
    }

  private:
    InterruptSink* sink_ = nullptr;
    uint32_t input_ = 0;
};

}  // namespace doppel::device
