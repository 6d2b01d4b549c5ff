// The vector unit's architectural state.
// Source: RISC-V unprivileged manual, chapter "V" (version 1.0), "Vector Extension Programmer's Model".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::isa::riscv {

inline constexpr unsigned kMinVectorBits = 128;  // VLEN
inline constexpr unsigned kMaxVectorBits = 1024;

// Whether a hart can have this VLEN; 0 is none.
constexpr bool valid_vector_bits(unsigned bits) {
    return bits == 0 || (bits >= kMinVectorBits && bits <= kMaxVectorBits && (bits & (bits - 1)) == 0);
}

struct VectorState {
    static constexpr unsigned kRegisters = 32;
    static constexpr uint64_t kIllegalType = uint64_t{1} << 63;  // vtype with vill

    std::vector<uint8_t> registers;  // one behind the other, VLEN / 8 bytes each; empty: no vector unit
    uint64_t vl = 0, vtype = kIllegalType, vstart = 0;
    uint8_t vxrm = 0, vxsat = 0;

    bool present() const { return !registers.empty(); }
    unsigned register_bytes() const { return static_cast<unsigned>(registers.size() / kRegisters); }
    // `bits` is valid_vector_bits(); the state is that after a reset, when the registers are zero.
    void reset(unsigned bits) {
        *this = {};
        registers.resize(size_t{kRegisters} * bits / 8);
    }

    // ... and the registers' size is kept.
    void reset() { reset(register_bytes() * 8); }

    template <class V>
    void fields(V& v) {
        v.field(1, registers), v.field(2, vl), v.field(3, vtype), v.field(4, vstart), v.field(5, vxrm);
        v.field(6, vxsat);
    }
    // As Hart::make_legal.
    void make_legal();
};

}  // namespace doppel::isa::riscv
