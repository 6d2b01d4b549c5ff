// Random user-mode sequences, drawn from the decode table.
#pragma once

#include <cstdint>

#include "isa/riscv/decode.h"
#include "random.h"
#include "sequence.h"

namespace doppel::differential {

// `length` units. Every instruction is legal (no reserved rounding modes), memory accesses stay in the scratch memory,
// jumps go forward, sp is kept, and nothing depends on time or place but pc-relative addresses.
// `vector_bits` is VLEN, or 0 for sequences without vector instructions.
Sequence generate(Random& random, unsigned length, unsigned vector_bits);

// The same instruction with another immediate, which must fit.
uint32_t with_immediate(uint32_t bits, int32_t immediate);

// A random instruction of that line of the table.
uint32_t random_instruction(Random& random, isa::riscv::InstructionId id);
uint32_t add_immediate(unsigned rd, unsigned rs1, int64_t immediate);
// Any register that a sequence may write and that holds what it is given.
uint8_t free_register(Random& random);

}  // namespace doppel::differential
