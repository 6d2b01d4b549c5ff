// The interrupt controllers of board `riscv64`: APLIC and IMSICs, or a PLIC.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "device/bus.h"
#include "device/interrupt.h"
#include "isa/riscv/hart.h"
#include "machine/spec/specification.h"

namespace doppel::machine::riscv64 {

// Where each hart takes its interrupts: index it with hart and mip bit number.
using HartInput = std::function<device::InterruptLine(unsigned hart, unsigned interrupt)>;

class InterruptController {
  public:
    virtual ~InterruptController() = default;
    virtual Result<> map(device::Bus& bus) = 0;
    // To the power-on state; an input that is still high stays so.
    virtual void reset() = 0;
    // Where devices' wires go, numbered from 1.
    virtual device::InterruptLine input(uint32_t number) = 0;
    // Where message-signalled interrupts go; null: nowhere, devices have wires only.
    virtual device::MsiSink* messages() = 0;
    // What the hart reaches by CSRs; none without IMSICs.
    virtual isa::riscv::InterruptFiles interrupt_files(unsigned hart) = 0;
    // After reset, where the host is the firmware: what machine-mode firmware does so that S-mode gets the interrupts.
    virtual void hand_to_supervisor() = 0;
};

std::unique_ptr<InterruptController> make_interrupt_controller(Irqchip kind, unsigned harts, const HartInput& input);

}  // namespace doppel::machine::riscv64
