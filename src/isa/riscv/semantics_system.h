// Fences, CSR instructions, environment calls, privileged instructions, cache-block operations.
// Source: RISC-V unprivileged manual, chapters "Zicsr", "Zifencei", "CMO"; privileged manual, "Svinval" and the
// instruction chapters.
#pragma once

#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"
#include "isa/riscv/system.h"

namespace doppel::isa::riscv::semantics {

template <class E, class Word64>
void csr_instruction(E& e, const Operands& o, CsrOperation operation, Word64 operand) {
    e.template system<&csr_access>([&](auto old) { e.set_x(o.rd, old); }, static_cast<uint32_t>(o.imm), operation,
                                   operand);
}
// Set and clear with x0, or with a zero immediate, do not write (and so have no write's effects or illegalities).
constexpr CsrOperation unless_zero(CsrOperation operation, unsigned source) {
    return source == 0 ? CsrOperation::kRead : operation;
}
template <class E>
auto csr_immediate(E& e, const Operands& o) {
    return e.template constant<64>(o.rs1);
}

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

// clang-format off
DEFINE(csrrw)  { csr_instruction(e, o, CsrOperation::kWrite, e.x(o.rs1)); }
DEFINE(csrrs)  { csr_instruction(e, o, unless_zero(CsrOperation::kSet, o.rs1), e.x(o.rs1)); }
DEFINE(csrrc)  { csr_instruction(e, o, unless_zero(CsrOperation::kClear, o.rs1), e.x(o.rs1)); }
DEFINE(csrrwi) { csr_instruction(e, o, CsrOperation::kWrite, csr_immediate(e, o)); }
DEFINE(csrrsi) { csr_instruction(e, o, unless_zero(CsrOperation::kSet, o.rs1), csr_immediate(e, o)); }
DEFINE(csrrci) { csr_instruction(e, o, unless_zero(CsrOperation::kClear, o.rs1), csr_immediate(e, o)); }

DEFINE(fence)   { e.fence(o.imm); }
DEFINE(pause)   { e.template system<&riscv::pause>([](auto) {}); }
DEFINE(fence_i) { e.template system<&fence_instructions>([](auto) {}); }
DEFINE(ecall)   { e.template system<&environment_call>([](auto) {}); }
DEFINE(ebreak)  { e.template system<&breakpoint>([](auto) {}); }
DEFINE(mret)    { e.template system<&machine_return>([](auto) {}); }
DEFINE(sret)    { e.template system<&supervisor_return>([](auto) {}); }
DEFINE(wfi)     { e.template system<&wait_for_interrupt>([](auto) {}); }
DEFINE(sfence_vma) {
    e.template system<&fence_translations>([](auto) {}, e.x(o.rs1), o.rs1 == 0, e.x(o.rs2), o.rs2 == 0);
}
DEFINE(sinval_vma)      { sfence_vma(e, o); }
DEFINE(sfence_w_inval)  { e.template system<&fence_invalidations>([](auto) {}); }
DEFINE(sfence_inval_ir) { e.template system<&fence_invalidations>([](auto) {}); }
DEFINE(cbo_inval) { e.template system<&cache_block_invalidate>([](auto) {}, e.x(o.rs1)); }
DEFINE(cbo_clean) { e.template system<&cache_block_clean>([](auto) {}, e.x(o.rs1)); }
DEFINE(cbo_flush) { e.template system<&cache_block_clean>([](auto) {}, e.x(o.rs1)); }
DEFINE(cbo_zero)  { e.template system<&cache_block_zero>([](auto) {}, e.x(o.rs1)); }
// clang-format on

#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
