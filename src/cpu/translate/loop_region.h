// Regions: the loops around a block that is hot, compiled as one so that guest registers stay in host registers around
// them.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cpu/translate/front_end.h"
#include "translate/x86/registers.h"

namespace doppel::cpu::translate {

struct LoopRegion {
    std::vector<RecordedBlock> blocks;  // in the order of their addresses
    doppel::translate::x86::Mapping mapping;
};

// The largest loop through the block at `offset` that stays in its page and fits a region. nullopt: it is in none.
std::optional<LoopRegion> find_loop(std::span<const uint8_t> page, uint16_t offset, CodeMode mode,
                                    const doppel::translate::Techniques& techniques = {});

}  // namespace doppel::cpu::translate
