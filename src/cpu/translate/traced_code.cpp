#include "cpu/translate/traced_code.h"

namespace doppel::cpu::translate {

namespace x86 = doppel::translate::x86;

namespace {

void note_host_code(TracedTranslation& traced, const x86::Compiled& compiled, const x86::Placed& placed) {
    const std::span<const uint8_t> code(compiled.code);
    auto part = [](std::span<const uint8_t> bytes, const uint8_t* at) {
        return TracedTranslation::HostCode{{bytes.begin(), bytes.end()}, reinterpret_cast<uint64_t>(at)};
    };
    traced.host_code = {part(code.first(compiled.cold_at), placed.hot),
                        part(code.subspan(compiled.cold_at), placed.cold)};
}

}  // namespace

void note(TracedTranslation& traced, const doppel::translate::Block& block, uint64_t pc, std::span<const uint8_t> guest,
          const x86::Compiled& compiled, const x86::Placed& placed) {
    traced.blocks.push_back({pc, {guest.begin(), guest.end()}, doppel::translate::print(block)});
    note_host_code(traced, compiled, placed);
}

void note(TracedTranslation& traced, const stored_code::Unit& unit, uint64_t page_address,
          const x86::Compiled& compiled, const x86::Placed& placed) {
    traced.is_loaded = true;
    std::span<const uint8_t> guest = unit.guest;
    for (const stored_code::Part& part : unit.parts) {
        traced.blocks.push_back({page_address + part.offset, {guest.begin(), guest.begin() + part.bytes}, {}});
        guest = guest.subspan(part.bytes);
    }
    note_host_code(traced, compiled, placed);
}

}  // namespace doppel::cpu::translate
