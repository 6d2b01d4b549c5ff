// A lookup in a table that is a register: each part of `indexes` names a part of `table`, or gives 0 when there is
// none. Source: RISC-V unprivileged manual, "Zbkx" (xperm4, xperm8).
#pragma once

#include <cstdint>

namespace doppel::isa::crypto {

template <unsigned Bits>
constexpr uint64_t crossbar(uint64_t table, uint64_t indexes) {
    constexpr uint64_t kPart = (uint64_t{1} << Bits) - 1;
    uint64_t result = 0;
    for (unsigned at = 0; at < 64; at += Bits) {
        uint64_t index = indexes >> at & kPart;
        if (index < 64 / Bits) result |= (table >> index * Bits & kPart) << at;
    }
    return result;
}

}  // namespace doppel::isa::crypto
