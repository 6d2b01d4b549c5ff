// The common code that translated code calls and returns through, and the way into translated code.
#pragma once

#include <cstdint>
#include <vector>

#include "translate/x86/native_state.h"

namespace doppel::translate::x86 {

// Runs `code` with the state register as given; returns why it stopped.
using EnterFunction = uint32_t (*)(void* state, const void* code);

// Offsets of each into `code`.
struct Thunks {
    std::vector<uint8_t> code;
    uint32_t enter = 0;
    uint32_t exit_budget = 0, exit_lookup = 0, exit_link = 0, exit_interpret = 0, exit_access = 0;
    uint32_t fill = 0, fill_float = 0, call_float = 0;
};

Thunks make_thunks(const Layout& layout);
// Where translated code finds them, once they are at `base`.
void connect(NativeState& state, const Thunks& thunks, const uint8_t* base);

}  // namespace doppel::translate::x86
