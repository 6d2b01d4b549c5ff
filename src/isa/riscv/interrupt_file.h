// What a hart sees of its IMSIC: one interrupt file a privilege level, reached by CSRs.
// Source: RISC-V Advanced Interrupt Architecture 1.0, "Incoming MSI Controller (IMSIC)".
#pragma once

#include <cstdint>

namespace doppel::isa::riscv {

// Implemented by the interrupt controller. The hart's own thread calls it; messages arrive from other threads
// meanwhile, so each function is one atomic step.
class InterruptFile {
  public:
    // Values of miselect and siselect. RV64 has the even ones of both arrays, 64 bits each.
    static constexpr uint32_t kDelivery = 0x70, kThreshold = 0x72, kPending = 0x80, kEnabled = 0xc0, kEnd = 0x100;

    virtual ~InterruptFile() = default;

    // `select` is in kDelivery .. kEnd - 1, even within the arrays; registers that are reserved read 0.
    virtual uint64_t read(uint32_t select) const = 0;
    // The bits in `mask` take their values, as far as they can (WARL).
    virtual void write(uint32_t select, uint64_t value, uint64_t mask) = 0;
    // mtopei, stopei: the identity in bits 26:16 and again in 10:0; 0: none.
    virtual uint32_t top() const = 0;
    // Writing mtopei, stopei: `identity`, which top() reported, is pending no more. 0 does nothing.
    virtual void claim(uint32_t identity) = 0;
};

}  // namespace doppel::isa::riscv
