// Code that was translated, as text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/trace.h"

namespace doppel::machine::trace {

struct CodeLine {
    uint64_t address;
    std::string text;
};

// "a block of 5 instructions, 14 bytes: 120 bytes of host code at 0x7f0000001000"; a loop has several blocks.
std::string translation_text(const cpu::TracedTranslation& translation);
// One for each instruction; an instruction that `code` holds only the beginning of is left out.
std::vector<CodeLine> guest_lines(std::span<const uint8_t> code, uint64_t address);
// The same for code of this host. What is no instruction is shown byte by byte.
std::vector<CodeLine> host_lines(std::span<const uint8_t> code, uint64_t address);
// Without line ends and the spaces before each line.
std::vector<std::string_view> split_lines(std::string_view text);

}  // namespace doppel::machine::trace
