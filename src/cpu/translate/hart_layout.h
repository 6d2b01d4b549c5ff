// Where translated code finds the hart's registers.
#pragma once

#include <cstddef>

#include "isa/riscv/hart.h"
#include "translate/x86/native_state.h"

namespace doppel::cpu::translate {

// The state register points into the middle of the integer registers, so that short displacements reach all of them.
inline constexpr int32_t kStatePointer = offsetof(isa::riscv::Hart, x) + 16 * 8;

inline void* state_of(isa::riscv::Hart& hart) {
    return reinterpret_cast<uint8_t*>(&hart) + kStatePointer;
}
inline isa::riscv::Hart& hart_of(void* state) {
    return *reinterpret_cast<isa::riscv::Hart*>(static_cast<uint8_t*>(state) - kStatePointer);
}
inline doppel::translate::x86::NativeState& native_state_of(isa::riscv::Hart& hart) {
    static_assert(sizeof(doppel::translate::x86::NativeState) <= sizeof hart.engine_state);
    return *reinterpret_cast<doppel::translate::x86::NativeState*>(hart.engine_state.data());
}

const doppel::translate::x86::Layout& hart_layout();

}  // namespace doppel::cpu::translate
