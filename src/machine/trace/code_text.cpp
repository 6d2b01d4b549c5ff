#include "machine/trace/code_text.h"

#include <fmt/format.h>
#if DOPPEL_TRANSLATE  // whose only host is x86-64
#include <Zydis/Zydis.h>
#endif

#include <algorithm>

#include "base/byte_order.h"
#include "isa/riscv/decode.h"

namespace doppel::machine::trace {

namespace {

// Of the instruction at the beginning of `code`; 0: none.
size_t host_instruction([[maybe_unused]] std::span<const uint8_t> code, [[maybe_unused]] uint64_t address,
                        [[maybe_unused]] std::string& text) {
#if DOPPEL_TRANSLATE
    ZydisDisassembledInstruction found;
    if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, address, code.data(), code.size(), &found))) {
        text = found.text;
        return found.info.length;
    }
#endif
    return 0;
}

}  // namespace

std::string translation_text(const cpu::TracedTranslation& translation) {
    size_t instructions = 0, bytes = 0;
    for (const auto& block : translation.blocks) {
        instructions += guest_lines(block.code, block.pc).size();
        bytes += block.code.size();
    }
    const std::string what =
        translation.blocks.size() == 1 ? "a block" : fmt::format("a loop of {} blocks", translation.blocks.size());
    const auto& [usual, rare] = translation.host_code;
    return fmt::format("{}, {} instructions, {} bytes: {} bytes of host code at {:#x}", what, instructions, bytes,
                       usual.code.size() + rare.code.size(), usual.address);
}

std::vector<CodeLine> guest_lines(std::span<const uint8_t> code, uint64_t address) {
    constexpr size_t kHalf = 2, kWord = 4;
    std::vector<CodeLine> lines;
    for (size_t at = 0; at + kHalf <= code.size();) {
        uint32_t bits = load_le<uint16_t>(&code[at]);
        const size_t length = isa::riscv::length_of(bits);
        if (at + length > code.size()) break;
        if (length == kWord) bits |= uint32_t{load_le<uint16_t>(&code[at + kHalf])} << 16;
        lines.push_back({address + at, isa::riscv::disassemble(bits, address + at)});
        at += length;
    }
    return lines;
}

std::vector<CodeLine> host_lines(std::span<const uint8_t> code, uint64_t address) {
    std::vector<CodeLine> lines;
    for (size_t at = 0; at < code.size();) {
        std::string text = fmt::format("byte 0x{:02x}", code[at]);
        const size_t length = std::max<size_t>(host_instruction(code.subspan(at), address + at, text), 1);
        lines.push_back({address + at, std::move(text)});
        at += length;
    }
    return lines;
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        if (!line.empty()) lines.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace doppel::machine::trace
