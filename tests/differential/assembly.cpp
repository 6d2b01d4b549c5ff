#include "assembly.h"

#include <cstdio>
#include <cstdlib>

#include "isa/riscv/assemble.h"

namespace doppel::differential {

void Assembly::put(uint32_t bits) {
    unsigned length = isa::riscv::length_of(bits);
    for (unsigned i = 0; i < length; i++) bytes_.push_back(static_cast<uint8_t>(bits >> (8 * i)));
}

void Assembly::put_text(const std::string& text) {
    auto bits = isa::riscv::assemble(text, here());
    if (!bits) {
        std::fprintf(stderr, "differential: %s\n", bits.error().message().c_str());
        std::abort();
    }
    put(*bits);
}

void Assembly::call(uint64_t target) {
    int64_t distance = static_cast<int64_t>(target - here());
    int64_t high = (distance + 0x800) >> 12;
    line("auipc ra, {:#x}", static_cast<uint64_t>(high) & 0xfffff);
    line("jalr ra, {}(ra)", distance - (high << 12));
}

void Assembly::constant(std::string_view register_name, uint64_t value) {
    line("lui {}, {:#x}", register_name, (value + 0x800) >> 12);
    line("addiw {}, {}, {}", register_name, register_name, static_cast<int64_t>(value << 52) >> 52);
}

}  // namespace doppel::differential
