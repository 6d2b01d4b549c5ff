#include "cpu/translate/helpers.h"

#include "cpu/interpret/soft_tlb.h"

namespace doppel::cpu::translate {

void helper_anchor() {}

namespace detail {

void accrue(isa::riscv::Hart& hart, isa::fp::Flags flags) {
    if (flags == hart.csr.fflags) return;
    hart.csr.fflags = static_cast<uint8_t>(flags);
    hart.csr.mstatus |= isa::riscv::mstatus::kFs;
}

}  // namespace detail

const doppel::translate::x86::Layout& hart_layout() {
    using interpret::TlbEntry;
    using isa::riscv::ControlRegisters, isa::riscv::Hart, isa::riscv::Reservation;
    constexpr auto at = [](size_t offset) { return static_cast<int32_t>(offset) - kStatePointer; };
    static constexpr doppel::translate::x86::Layout layout{
        .integers = at(offsetof(Hart, x)),
        .floats = at(offsetof(Hart, f)),
        .native = at(offsetof(Hart, engine_state)),
        .float_status = at(offsetof(Hart, csr) + offsetof(ControlRegisters, mstatus)),
        .float_dirty = isa::riscv::mstatus::kFs,
        .float_flags = at(offsetof(Hart, csr) + offsetof(ControlRegisters, fflags)),
        .reservation_address = at(offsetof(Hart, reservation) + offsetof(Reservation, address)),
        .reservation_value = at(offsetof(Hart, reservation) + offsetof(Reservation, value)),
        .reservation_bytes = at(offsetof(Hart, reservation) + offsetof(Reservation, bytes)),
        .tlb_read_tag = offsetof(TlbEntry, read_tag),
        .tlb_write_tag = offsetof(TlbEntry, write_tag),
        .tlb_offset = offsetof(TlbEntry, offset),
    };
    return layout;
}

}  // namespace doppel::cpu::translate
