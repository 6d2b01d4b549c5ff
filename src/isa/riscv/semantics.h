// The definitions of all instructions: one function template each, over the evaluator.
//
// clang-format off
// An evaluator E executes (interpreter) or records (translator) what a definition says. It offers:
//   Word<N>                        a value of N bits: Concrete<N>, or an IR value with the same operations (isa/concrete.h)
//   constant<N>(number)            a Word<N>
//   x(n), set_x(n, Word<64>)       integer registers; f<F>(n), set_f<F>(n, w) float registers of format F, NaN-boxed
//   raw_f(n), set_raw_f(n, w)      all 64 bits of a float register
//   pc(), next_pc()                of this instruction and of the one behind it
//   branch_if(Word<1>, offset), jump(Word<64>)
//   load<N>(address, k)            k(Word<N>) unless the access traps; store<N>(address, Word<N>)
//   load_reserved<N>(address, k), store_conditional<N>(address, value, k)   k gets Word<64>, 0 for success
//   atomic<N>(AtomicOperation, address, value, k)   k gets the old Word<N>
//   fence(predecessors and successors)
//   with_float(k)                  k() unless the float unit is off (then an illegal instruction)
//   with_rounding(rm, k)           k(rounding) unless the unit is off or the mode is reserved
//   rounded<Function>(rounding, words...), flagged<Function>(words...)
//                                  a function of isa/float/float.h, with the flags it raises accrued
//   pure<Function>(words...)       a function of values alone, of isa/float or isa/crypto
//   system<Function>(k, arguments...)   a function of isa/riscv/system.h; k(Word<64>) gets its value, when it goes on
//   vector<Function>(operands, k)  a function of isa/riscv/vector.h; k(Word<64>) gets its value, unless it is illegal or traps
//   configure_vector<Function>(k, arguments...)   one of vector.h's that configure; k(Word<64>) gets vl
//   illegal()
// Continuations k run at once, or not at all when the instruction traps.
// clang-format on
#pragma once

#include "isa/riscv/semantics_atomic.h"
#include "isa/riscv/semantics_bitmanip.h"
#include "isa/riscv/semantics_crypto.h"
#include "isa/riscv/semantics_float.h"
#include "isa/riscv/semantics_integer.h"
#include "isa/riscv/semantics_system.h"
#include "isa/riscv/semantics_vector.h"
