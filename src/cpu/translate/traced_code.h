// What a trace is told of translations.
#pragma once

#include <cstdint>
#include <span>

#include "cpu/trace.h"
#include "stored_code/unit.h"
#include "translate/x86/placement.h"

namespace doppel::cpu::translate {

// Adds a block, made of the bytes `guest` at `pc`, to what is traced; `compiled` is the code of all of it.
void note(TracedTranslation& traced, const doppel::translate::Block& block, uint64_t pc, std::span<const uint8_t> guest,
          const doppel::translate::x86::Compiled& compiled, const doppel::translate::x86::Placed& placed);

// All of a stored unit.
void note(TracedTranslation& traced, const stored_code::Unit& unit, uint64_t page_address,
          const doppel::translate::x86::Compiled& compiled, const doppel::translate::x86::Placed& placed);

}  // namespace doppel::cpu::translate
