#include "translate/x86/placement.h"

#include <bit>
#include <cstring>

#include "base/byte_order.h"

namespace doppel::translate::x86 {

Placed place(CodeMemory& memory, const Compiled& compiled, bool apart) {
    const std::span<const uint8_t> code(compiled.code);
    const std::span<const uint8_t> hot = code.first(compiled.cold_at), cold = code.subspan(compiled.cold_at);
    Placed placed{memory.place(hot), apart ? memory.place_cold(cold) : memory.place(cold), compiled.cold_at};
    if (placed.hot == nullptr || placed.cold == nullptr) return {};
    const auto further = static_cast<uint32_t>(placed.cold - placed.hot - std::ptrdiff_t{compiled.cold_at});
    for (uint32_t at : compiled.crossings) {
        uint8_t* distance = memory.writable(placed.address(at));
        const auto before = load_le<uint32_t>(distance);
        store_le<uint32_t>(distance, at < compiled.cold_at ? before + further : before - further);
    }
    return placed;
}

void redirect(uint8_t* writable, const uint8_t* executable, const uint8_t* target) {
    constexpr uint8_t kJump = 0xe9;
    constexpr size_t kJumpBytes = 5;
    std::array<uint8_t, 8> bytes;
    std::memcpy(bytes.data(), writable, bytes.size());
    auto distance = static_cast<int32_t>(target - (executable + kJumpBytes));
    bytes[0] = kJump;
    std::memcpy(&bytes[1], &distance, sizeof distance);
    __atomic_store_n(reinterpret_cast<uint64_t*>(writable), std::bit_cast<uint64_t>(bytes), __ATOMIC_RELEASE);
}

}  // namespace doppel::translate::x86
