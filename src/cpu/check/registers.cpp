#include "cpu/check/registers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_order.h"
#include "isa/riscv/decode.h"

namespace doppel::cpu::check {

void Registers::take(const isa::riscv::Hart& hart) {
    std::copy_n(hart.x.begin(), x.size(), x.begin());
    f = hart.f;
    pc = hart.pc;
    mstatus = hart.csr.mstatus;
    fflags = hart.csr.fflags;
    reservation = hart.reservation;
    if (has_vector()) vector = hart.vector;
}

void Registers::put(isa::riscv::Hart& hart) const {
    std::copy(x.begin(), x.end(), hart.x.begin());
    hart.f = f;
    hart.pc = pc;
    hart.csr.mstatus = mstatus;
    hart.csr.fflags = fflags;
    hart.reservation = reservation;
    if (has_vector()) hart.vector = vector;
}

namespace {

bool same_vector(const isa::riscv::VectorState& a, const isa::riscv::VectorState& b) {
    return a.registers == b.registers && a.vl == b.vl && a.vtype == b.vtype && a.vstart == b.vstart &&
           a.vxrm == b.vxrm && a.vxsat == b.vxsat;
}

}  // namespace

bool same_but_float_status(const isa::riscv::Hart& hart, const Registers& registers) {
    const isa::riscv::Reservation &a = hart.reservation, &b = registers.reservation;
    bool same_reservation = a.bytes == b.bytes && (a.bytes == 0 || (a.address == b.address && a.value == b.value));
    return std::equal(registers.x.begin(), registers.x.end(), hart.x.begin()) && hart.f == registers.f &&
           hart.pc == registers.pc && ((hart.csr.mstatus ^ registers.mstatus) & ~isa::riscv::mstatus::kFs) == 0 &&
           same_reservation && (!registers.has_vector() || same_vector(hart.vector, registers.vector));
}

namespace {

// A value for each 64 bits of a register.
void add_vector(const isa::riscv::VectorState& vector, std::vector<NamedValue>& all) {
    const size_t words = vector.register_bytes() / sizeof(uint64_t);
    for (size_t i = 0; i < words * isa::riscv::VectorState::kRegisters; i++) {
        all.push_back({fmt::format("v{}[{}]", i / words, i % words), load_le<uint64_t>(&vector.registers[8 * i])});
    }
    all.push_back({"vl", vector.vl});
    all.push_back({"vtype", vector.vtype});
    all.push_back({"vstart", vector.vstart});
    all.push_back({"vxrm", vector.vxrm});
    all.push_back({"vxsat", vector.vxsat});
}

}  // namespace

std::vector<NamedValue> named_values(const Registers& registers) {
    std::vector<NamedValue> all{{"pc", registers.pc}};
    for (unsigned n = 0; n < registers.x.size(); n++) {
        all.push_back({std::string(isa::riscv::integer_register_name(n)), registers.x[n]});
    }
    for (unsigned n = 0; n < registers.f.size(); n++) {
        all.push_back({std::string(isa::riscv::float_register_name(n)), registers.f[n]});
    }
    all.push_back({"fflags", registers.fflags});
    all.push_back({"mstatus", registers.mstatus});
    bool reserved = registers.reservation.bytes != 0;
    all.push_back({"reserved bytes", registers.reservation.bytes});
    all.push_back({"reserved address", reserved ? registers.reservation.address : 0});
    all.push_back({"reserved value", reserved ? registers.reservation.value : 0});
    if (registers.has_vector()) add_vector(registers.vector, all);
    return all;
}

}  // namespace doppel::cpu::check
