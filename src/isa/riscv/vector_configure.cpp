// vsetvli, vsetivli, vsetvl, and what saved states may hold.
// Source: RISC-V unprivileged manual, chapter "V", "Configuration-Setting Instructions".
#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv {

namespace vector {

namespace {

// SEW, LMUL, vta and vma; SEW must fit LMUL * ELEN.
bool supported(uint64_t type) {
    constexpr uint64_t kFields = 0xff, kReservedGroup = 4;
    if ((type & ~kFields) != 0 || (type & 7) == kReservedGroup) return false;
    return width_of(type) <= kLargestWidth + std::min(group_of(type), 0);
}

VectorResult set(Hart& hart, uint64_t length, uint64_t type) {
    VectorState& state = hart.vector;
    hart.csr.mstatus |= mstatus::kVs;
    state.vstart = 0;
    bool ok = supported(type);
    state.vtype = ok ? type : VectorState::kIllegalType;
    state.vl = ok ? std::min(length, largest_length(state.register_bytes(), type)) : 0;
    return {VectorResult::Outcome::kDone, state.vl};
}

}  // namespace

VectorResult configure(Hart& hart, uint64_t requested, uint64_t type) {
    return enabled(hart) ? set(hart, requested, type) : Operation::illegal();
}

VectorResult configure_keeping_length(Hart& hart, uint64_t type) {
    return enabled(hart) ? set(hart, hart.vector.vl, type) : Operation::illegal();
}

}  // namespace vector

void VectorState::make_legal() {
    unsigned bits = register_bytes() * 8;
    if (registers.size() % kRegisters != 0 || !valid_vector_bits(bits)) reset(0);
    if (!present() || !vector::supported(vtype)) vtype = kIllegalType;
    vl = vtype == kIllegalType ? 0 : std::min(vl, vector::largest_length(register_bytes(), vtype));
    vstart = present() ? vstart & (register_bytes() * 8 - 1) : 0;
    vxrm &= 3, vxsat &= 1;
}

}  // namespace doppel::isa::riscv
