// Any bits through the decoder, the disassembler and back through the assembler.
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "isa/riscv/assemble.h"

namespace {

using namespace doppel::isa::riscv;

void check(bool holds) {
    if (!holds) std::abort();
}

void check_bits(uint32_t bits, uint64_t pc) {
    Decoded decoded = decode(bits);
    check(decoded.length == length_of(bits));
    check(decoded.operands.rd < 32 && decoded.operands.rs1 < 32 && decoded.operands.rs2 < 32);
    std::string text = disassemble(bits, pc);
    check(!text.empty());
    if (decoded.id == InstructionId::k_illegal || text == "fence w, 0") return;
    auto again = assemble(text, pc);
    check(again.has_value() && disassemble(*again, pc) == text);
}

}  // namespace

// A pc, then instructions; the whole also as assembly text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    (void)assemble(std::string_view(reinterpret_cast<const char*>(data), size));
    uint64_t pc = 0;
    if (size < sizeof pc) return 0;
    std::memcpy(&pc, data, sizeof pc);
    for (size_t at = sizeof pc; at + 4 <= size; at += 4) {
        uint32_t bits;
        std::memcpy(&bits, data + at, sizeof bits);
        check_bits(bits, pc);
    }
    return 0;
}
