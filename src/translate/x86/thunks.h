// The common code that translated code calls and returns through, and the way into translated code.
#pragma once

#include <asmjit/x86.h>

#include <cstdint>
#include <vector>

#include "translate/x86/host.h"
#include "translate/x86/native_state.h"
#include "translate/x86/registers.h"

namespace doppel::translate::x86 {

// Runs `code` with the state register as given; returns why it stopped.
using EnterFunction = uint32_t (*)(void* state, const void* code);

// `index` becomes what jump_slot() takes, of the address in `pc`.
void find_jump_slot(asmjit::x86::Assembler& a, int index, int pc, const HostFeatures& host);
inline constexpr unsigned kJumpScaleShift = 3;
// `field` of a JumpSlot; `jumps` holds the address of the first.
inline asmjit::x86::Mem jump_slot(int jumps, int index, size_t field) {
    return asmjit::x86::ptr(gpq(jumps), gpq(index), kJumpScaleShift, static_cast<int32_t>(field), 8);
}

// Offsets of each into `code`. The exits for the budget, a link and the interpreter are called, with a note: position,
// and for a link where the displacement is, relative to the note. The one for a lookup has the target in rax.
struct Thunks {
    std::vector<uint8_t> code;
    uint32_t enter = 0;
    uint32_t exit_budget = 0, exit_lookup = 0, exit_link = 0, exit_interpret = 0, exit_access = 0, exit_resume = 0;
    uint32_t fill = 0, fill_float = 0, call_float = 0, call = 0;
};

Thunks make_thunks(const Layout& layout);
// Where translated code finds them, once they are at `base`.
void connect(NativeState& state, const Thunks& thunks, const uint8_t* base);

}  // namespace doppel::translate::x86
