// The CSRs of Smaia and Ssaia that reach beyond the hart's registers: interrupt files, and the top interrupt.
// Source: RISC-V Advanced Interrupt Architecture 1.0, "Control and Status Registers (CSRs) Added to Harts", "Interrupts
// for Machine and Supervisor Levels".
//
// Of what the specification leaves open: the priorities of major interrupts (iprio arrays) are read-only zeros, so
// mtopi and stopi report priority 1; mvien is read-only zero, and mvip has the aliases of mip's bits only.
#pragma once

#include <cstdint>

#include "isa/riscv/hart.h"

namespace doppel::isa::riscv::aia {

inline constexpr uint64_t kSelectMask = 0x1ff;  // miselect, siselect: the recommended nine bits

// A hart has both extensions exactly when it has interrupt files.
inline bool present(const Hart& hart) {
    return hart.interrupt_files.machine != nullptr && hart.interrupt_files.supervisor != nullptr;
}

// mireg and sireg. An access is legal where `selectable`; priorities read 0 and ignore writes.
bool selectable(const Hart& hart, uint64_t select);
uint64_t read_selected(const InterruptFile& file, uint64_t select);
void write_selected(InterruptFile& file, uint64_t select, uint64_t value, uint64_t mask);

// mtopei and stopei, written by themselves: claims what is on top.
void claim_top(InterruptFile& file);

// mtopi and stopi, of the interrupts that are pending and enabled at their level.
uint64_t top_interrupt(uint64_t ready);

// mireg, sireg, mtopei and stopei: a read-modify-write must not undo or claim what arrived since the read.
bool written_with_read(uint32_t number);
// The bits in `mask` take `value`'s, after a read gave `seen`. The access is legal.
void write_after_read(Hart& hart, uint32_t number, uint64_t value, uint64_t mask, uint64_t seen);

}  // namespace doppel::isa::riscv::aia
