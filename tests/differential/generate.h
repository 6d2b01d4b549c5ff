// Random user-mode sequences, drawn from the decode table.
#pragma once

#include <cstdint>

#include "random.h"
#include "sequence.h"

namespace doppel::differential {

// `length` units. Every instruction is legal (no reserved rounding modes), memory accesses stay in the scratch memory,
// jumps go forward, sp is kept, and nothing depends on time or place but pc-relative addresses.
Sequence generate(Random& random, unsigned length);

// The same instruction with another immediate, which must fit.
uint32_t with_immediate(uint32_t bits, int32_t immediate);

}  // namespace doppel::differential
