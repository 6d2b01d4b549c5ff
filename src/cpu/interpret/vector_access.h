// How vector instructions reach memory through a Runner.
#pragma once

#include "cpu/interpret/runner.h"
#include "isa/riscv/vector.h"

namespace doppel::cpu::interpret {

// `function` for the instruction `op`. When it says kLeft, the trap is taken already, as by Runner::load_slow.
isa::riscv::vector::VectorResult execute_vector(isa::riscv::Hart& hart, Runner& runner, const Op* op,
                                                isa::riscv::vector::VectorFunction& function,
                                                const isa::riscv::vector::VectorOperands& operands);

}  // namespace doppel::cpu::interpret
