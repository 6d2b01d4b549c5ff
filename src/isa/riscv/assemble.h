// From assembly text to instruction bits: the inverse of disassemble(), from the same table. For tests and small
// firmware stubs.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "isa/riscv/decode.h"

namespace doppel::isa::riscv {

// Operand bits that are asked for; bits of an instruction that decide none of them stay 0.
struct WantedOperands {
    Operands value;
    Operands mask;  // ones where `value` counts
};

// The bits of the table's line `id` with these operands. An error when a register or immediate does not fit the format.
Result<uint32_t> encode(InstructionId id, const WantedOperands& wanted);

// One instruction as disassemble() writes it: full mnemonics (no aliases), ABI register names, absolute branch targets
// for an instruction at `pc`, "c." for the compressed ones, numbers decimal or 0x. What disassemble() cannot tell
// (ignored bits) is 0.
Result<uint32_t> assemble(std::string_view text, uint64_t pc = 0);

}  // namespace doppel::isa::riscv
