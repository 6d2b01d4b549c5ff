// Threaded dispatch: each handler ends by calling the next one in tail position. Where the compiler does not promise
// tail calls (no optimisation, sanitizers) handlers return the next op to a loop instead.
#pragma once

#include "base/instrumented.h"
#include "cpu/interpret/block_cache.h"

#if defined(__OPTIMIZE__) && !DOPPEL_INSTRUMENTED
#define DOPPEL_THREADED_DISPATCH 1
#else
#define DOPPEL_THREADED_DISPATCH 0
#endif

namespace doppel::cpu::interpret {

[[gnu::always_inline]] inline const Op* dispatch(isa::riscv::Hart& hart, const Op* op, Runner& runner) {
#if DOPPEL_THREADED_DISPATCH
    return op->handler(hart, op, runner);
#else
    (void)hart, (void)runner;
    return op;
#endif
}

// The handler of a decode-table line, and the one at the end of a block that no jump leaves.
Handler handler_of(isa::riscv::InstructionId id);
Handler end_of_block();

}  // namespace doppel::cpu::interpret
