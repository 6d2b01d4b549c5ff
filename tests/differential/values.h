// Random operands, weighted to where instructions go wrong.
#pragma once

#include <cstdint>

#include "random.h"
#include "sequence.h"

namespace doppel::differential {

uint64_t integer_value(Random& random);
// 64 bits of a float register: binary64, boxed binary32, or a value that is badly boxed.
uint64_t float_value(Random& random);
State input_state(Random& random, unsigned vector_bits);

}  // namespace doppel::differential
