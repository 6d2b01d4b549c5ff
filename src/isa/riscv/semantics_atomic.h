// A: load-reserved, store-conditional, atomic memory operations.
// Source: RISC-V unprivileged manual, chapter "A". The aq and rl bits (o.imm) ask for less than what every engine
// gives, but for a load that is not to pass earlier stores.
#pragma once

#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"

namespace doppel::isa::riscv {

enum class AtomicOperation : uint8_t { kSwap, kAdd, kXor, kAnd, kOr, kMin, kMax, kMinUnsigned, kMaxUnsigned };

// What memory holds after the operation.
template <class Word>
auto combine(AtomicOperation operation, Word old, Word operand) {
    switch (operation) {
        case AtomicOperation::kAdd:
            return old + operand;
        case AtomicOperation::kXor:
            return old ^ operand;
        case AtomicOperation::kAnd:
            return old & operand;
        case AtomicOperation::kOr:
            return old | operand;
        case AtomicOperation::kMin:
            return select(slt(operand, old), operand, old);
        case AtomicOperation::kMax:
            return select(slt(old, operand), operand, old);
        case AtomicOperation::kMinUnsigned:
            return select(ult(operand, old), operand, old);
        case AtomicOperation::kMaxUnsigned:
            return select(ult(old, operand), operand, old);
        default:
            return operand;
    }
}

namespace semantics {

template <class E>
void atomic_word(E& e, const Operands& o, AtomicOperation operation) {
    e.template atomic<32>(operation, e.x(o.rs1), x32(e, o.rs2), [&](auto old) { set_x32(e, o.rd, old); });
}
template <class E>
void atomic_double(E& e, const Operands& o, AtomicOperation operation) {
    e.template atomic<64>(operation, e.x(o.rs1), e.x(o.rs2), [&](auto old) { e.set_x(o.rd, old); });
}

// With rl, all that comes before is ordered before the load too (RVWMO's preserved program order, rule 6).
template <class E>
void release_before_load(E& e, const Operands& o) {
    constexpr int32_t kRelease = 1, kWritesBeforeReads = 0x12;  // fence w, r
    if ((o.imm & kRelease) != 0) e.fence(kWritesBeforeReads);
}

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

// clang-format off
DEFINE(lr_w) { release_before_load(e, o); e.template load_reserved<32>(e.x(o.rs1), [&](auto v) { set_x32(e, o.rd, v); }); }
DEFINE(lr_d) { release_before_load(e, o); e.template load_reserved<64>(e.x(o.rs1), [&](auto v) { e.set_x(o.rd, v); }); }
DEFINE(sc_w) { e.template store_conditional<32>(e.x(o.rs1), x32(e, o.rs2), [&](auto failed) { e.set_x(o.rd, failed); }); }
DEFINE(sc_d) { e.template store_conditional<64>(e.x(o.rs1), e.x(o.rs2), [&](auto failed) { e.set_x(o.rd, failed); }); }

DEFINE(amoswap_w) { atomic_word(e, o, AtomicOperation::kSwap); }
DEFINE(amoadd_w)  { atomic_word(e, o, AtomicOperation::kAdd); }
DEFINE(amoxor_w)  { atomic_word(e, o, AtomicOperation::kXor); }
DEFINE(amoand_w)  { atomic_word(e, o, AtomicOperation::kAnd); }
DEFINE(amoor_w)   { atomic_word(e, o, AtomicOperation::kOr); }
DEFINE(amomin_w)  { atomic_word(e, o, AtomicOperation::kMin); }
DEFINE(amomax_w)  { atomic_word(e, o, AtomicOperation::kMax); }
DEFINE(amominu_w) { atomic_word(e, o, AtomicOperation::kMinUnsigned); }
DEFINE(amomaxu_w) { atomic_word(e, o, AtomicOperation::kMaxUnsigned); }
DEFINE(amoswap_d) { atomic_double(e, o, AtomicOperation::kSwap); }
DEFINE(amoadd_d)  { atomic_double(e, o, AtomicOperation::kAdd); }
DEFINE(amoxor_d)  { atomic_double(e, o, AtomicOperation::kXor); }
DEFINE(amoand_d)  { atomic_double(e, o, AtomicOperation::kAnd); }
DEFINE(amoor_d)   { atomic_double(e, o, AtomicOperation::kOr); }
DEFINE(amomin_d)  { atomic_double(e, o, AtomicOperation::kMin); }
DEFINE(amomax_d)  { atomic_double(e, o, AtomicOperation::kMax); }
DEFINE(amominu_d) { atomic_double(e, o, AtomicOperation::kMinUnsigned); }
DEFINE(amomaxu_d) { atomic_double(e, o, AtomicOperation::kMaxUnsigned); }
// clang-format on

#undef DEFINE

}  // namespace semantics
}  // namespace doppel::isa::riscv
