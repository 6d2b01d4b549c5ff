// From guest code to intermediate representation.
#pragma once

#include <optional>
#include <span>

#include "cpu/translate/recorder.h"
#include "translate/ir.h"

namespace doppel::cpu::translate {

struct RecordedBlock {
    doppel::translate::Block block;
    unsigned bytes = 0;  // of guest code that it was made from
};

// The block that begins at `offset` of a page whose bytes are `page` (4096, unchanging meanwhile). nullopt: its first
// instruction is not for translated code.
std::optional<RecordedBlock> record_block(std::span<const uint8_t> page, uint16_t offset, CodeMode mode,
                                          const doppel::translate::Techniques& techniques = {});

}  // namespace doppel::cpu::translate
