// Where compiled code lies in code memory.
#pragma once

#include "translate/code_memory.h"
#include "translate/x86/emitter.h"

namespace doppel::translate::x86 {

struct Placed {
    const uint8_t* hot = nullptr;  // null: the memory is full
    const uint8_t* cold = nullptr;
    uint32_t cold_at = 0;

    // `offset` as Compiled counts.
    const uint8_t* address(uint32_t offset) const {
        return offset < cold_at ? hot + offset : cold + (offset - cold_at);
    }
};

// Puts each part to its like, or not `apart` but one behind the other.
Placed place(CodeMemory& memory, const Compiled& compiled, bool apart = true);

// Makes the entry at `executable` (mapped writable at `writable`) lead to `target`, while others may run it. Entries of
// code for the canonical mapping only: they begin with one instruction that has room for a jump, aligned to the 8 bytes
// that are written at once.
void redirect(uint8_t* writable, const uint8_t* executable, const uint8_t* target);

}  // namespace doppel::translate::x86
