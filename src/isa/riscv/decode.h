// From instruction bits to an entry of the decode table and its operands.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "isa/riscv/operands.h"

namespace doppel::isa::riscv {

// One value a line of instructions.inc, in its order, and one for bits that no line matches.
// NOLINTBEGIN(readability-identifier-naming): the table's names
enum class InstructionId : uint16_t {
#define INSN(id, pattern, operands, extension) k_##id,
#define COMPRESSED(id, pattern, operands, meaning, extension) k_##id,
#include "isa/riscv/instructions.inc"
#undef INSN
#undef COMPRESSED
    k_illegal,
};
// NOLINTEND(readability-identifier-naming)
inline constexpr size_t kInstructionCount = static_cast<size_t>(InstructionId::k_illegal) + 1;

struct InstructionInfo {
    std::string_view name;  // the mnemonic: "c.addi", "amoadd.w"
    std::string_view extension;
    uint32_t mask;
    uint32_t match;
    uint8_t length;  // bytes: 2 or 4
    const OperandFormat* operands;
};

const InstructionInfo& info(InstructionId id);

struct Decoded {
    InstructionId id = InstructionId::k_illegal;
    uint8_t length = 4;  // bytes
    Operands operands;
};

// The length in bytes that the lowest two bits announce: 2 or 4 (longer formats are reserved and decode as illegal, 4
// bytes).
constexpr unsigned length_of(uint32_t insn) {
    return (insn & 3) == 3 ? 4 : 2;
}

// `insn` holds the bits, the upper half ignored for 2-byte instructions. Never fails: unknown bits are k_illegal.
Decoded decode(uint32_t insn);

// Assembly text, as GNU as writes it without aliases: "addi a0, a1, -3". `pc` resolves branch targets.
std::string disassemble(uint32_t insn, uint64_t pc);

std::string_view integer_register_name(unsigned number);  // ABI name, 0..31
std::string_view float_register_name(unsigned number);

}  // namespace doppel::isa::riscv
