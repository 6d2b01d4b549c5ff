// What of a hart translated code works on, to be put back, and to be compared.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "isa/riscv/hart.h"

namespace doppel::cpu::check {

struct Registers {
    std::array<uint64_t, 32> x{};
    std::array<uint64_t, 32> f{};
    uint64_t pc = 0;
    uint64_t mstatus = 0;  // its FS field says whether float registers changed
    uint8_t fflags = 0;
    isa::riscv::Reservation reservation;
    isa::riscv::VectorState vector;  // means nothing while mstatus says that the unit is off

    void take(const isa::riscv::Hart& hart);
    void put(isa::riscv::Hart& hart) const;
    bool has_vector() const { return (mstatus & isa::riscv::mstatus::kVs) != 0; }
};

// The accrued float flags and the FS field, each a bit that instructions set.
inline uint64_t float_status(uint64_t mstatus, uint8_t fflags) {
    return fflags | (mstatus & isa::riscv::mstatus::kFs);
}
// Whether the hart's are these, but for what means nothing (the rest of a reservation that there is not), and for the
// float status.
bool same_but_float_status(const isa::riscv::Hart& hart, const Registers& registers);

struct NamedValue {
    std::string name;
    uint64_t value;
};
// In an order that is always the same; the vector unit's are last, and only while it is on.
std::vector<NamedValue> named_values(const Registers& registers);

}  // namespace doppel::cpu::check
