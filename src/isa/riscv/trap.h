// Entering and leaving traps.
// Source: RISC-V privileged manual, "Machine Trap-Vector Base-Address Register", "Trap-Return Instructions".
#pragma once

#include <cstdint>

#include "isa/riscv/hart.h"

namespace doppel::isa::riscv {

// Takes an exception or an interrupt (cause::kInterrupt set) at hart.pc: status, cause, tval, privilege and pc change;
// a delegated one goes to S-mode. The reservation is lost.
void take_trap(Hart& hart, uint64_t cause, uint64_t tval);

// The legality of the instruction (privilege, TSR) is the caller's to check.
void return_from_machine_trap(Hart& hart);
void return_from_supervisor_trap(Hart& hart);

}  // namespace doppel::isa::riscv
