// Interrupt lines: how a device reaches a controller, and a controller a vCPU, without knowing either.
#pragma once

#include <cstdint>

namespace doppel::device {

// Something with numbered, level-triggered inputs. Thread-safe; called with the raising device's lock held, so an implementation
// takes at most its own lock (order: device, then interrupt controller, then vCPU).
class InterruptSink {
  public:
    virtual ~InterruptSink() = default;
    virtual void set_level(uint32_t input, bool level) = 0;
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
