#include "cpu/check/registers.h"

#include <algorithm>

#include "isa/riscv/decode.h"

namespace doppel::cpu::check {

void Registers::take(const isa::riscv::Hart& hart) {
    std::copy_n(hart.x.begin(), x.size(), x.begin());
    f = hart.f;
    pc = hart.pc;
    mstatus = hart.csr.mstatus;
    fflags = hart.csr.fflags;
    reservation = hart.reservation;
}

void Registers::put(isa::riscv::Hart& hart) const {
    std::copy(x.begin(), x.end(), hart.x.begin());
    hart.f = f;
    hart.pc = pc;
    hart.csr.mstatus = mstatus;
    hart.csr.fflags = fflags;
    hart.reservation = reservation;
}

bool same_but_float_status(const isa::riscv::Hart& hart, const Registers& registers) {
    const isa::riscv::Reservation &a = hart.reservation, &b = registers.reservation;
    bool same_reservation = a.bytes == b.bytes && (a.bytes == 0 || (a.address == b.address && a.value == b.value));
    return std::equal(registers.x.begin(), registers.x.end(), hart.x.begin()) && hart.f == registers.f &&
           hart.pc == registers.pc && ((hart.csr.mstatus ^ registers.mstatus) & ~isa::riscv::mstatus::kFs) == 0 &&
           same_reservation;
}

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
    return all;
}

}  // namespace doppel::cpu::check
