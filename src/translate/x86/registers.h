// How host registers are used by translated code.
#pragma once

#include <asmjit/x86.h>

#include <array>
#include <cstdint>

namespace doppel::translate::x86 {

namespace reg {
inline constexpr int kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;
inline constexpr int kState = kRbx;  // Layout's distances count from here
inline constexpr int kBudget = 14;
inline constexpr int kTlb = 15;
}  // namespace reg

constexpr uint32_t bit(int number) {
    return uint32_t{1} << number;
}
// For values inside a block.
inline constexpr uint32_t kTemporaries = bit(reg::kRax) | bit(reg::kRcx) | bit(reg::kRdx) | bit(reg::kRdi);
// For guest registers, in and between blocks.
inline constexpr std::array<int8_t, 8> kHomes = {reg::kRsi, reg::kRbp, 8, 9, 10, 11, 12, 13};

// Which guest registers are kept in host registers; -1: in memory.
struct Mapping {
    std::array<int8_t, 32> integer;   // a general register of kHomes
    std::array<int8_t, 32> floating;  // an XMM register
    bool operator==(const Mapping&) const = default;
};

// What holds wherever code passes control to code that it was not compiled with: sp, s0, a0 to a5.
constexpr Mapping canonical_mapping() {
    Mapping mapping{};
    mapping.integer.fill(-1);
    mapping.floating.fill(-1);
    constexpr std::array<uint8_t, 8> kRegisters = {10, 11, 12, 13, 14, 15, 2, 8};
    for (size_t i = 0; i < kHomes.size(); i++) mapping.integer[kRegisters[i]] = kHomes[i];
    return mapping;
}

inline asmjit::x86::Gp gpq(int number) {
    return asmjit::x86::gpq(static_cast<uint32_t>(number));
}
inline asmjit::x86::Gp gpd(int number) {
    return asmjit::x86::gpd(static_cast<uint32_t>(number));
}
inline asmjit::x86::Xmm xmm(int number) {
    return asmjit::x86::xmm(static_cast<uint32_t>(number));
}

}  // namespace doppel::translate::x86
