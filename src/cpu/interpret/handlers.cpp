#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/evaluator.h"
#include "isa/riscv/semantics.h"

namespace doppel::cpu::interpret {

namespace {

using isa::riscv::Hart;
using isa::riscv::InstructionId;
using isa::riscv::Operands;

// The definition is inlined (flatten), so that what it does not use of the evaluator costs nothing.
template <auto Definition>
[[gnu::flatten]] const Op* execute(Hart& hart, const Op* op, Runner& runner) {
    Evaluator evaluator(hart, op, runner);
    Definition(evaluator, op->operands);
    if (evaluator.left()) [[unlikely]]
        return nullptr;
    if (evaluator.jumped()) {
        op = runner.enter(evaluator.target());
        if (op == nullptr) [[unlikely]]
            return nullptr;
        return dispatch(hart, op, runner);
    }
    return dispatch(hart, op + 1, runner);
}

const Op* execute_end(Hart& hart, const Op* op, Runner& runner) {
    op = runner.enter(runner.pc_of(op));
    if (op == nullptr) [[unlikely]]
        return nullptr;
    return dispatch(hart, op, runner);
}

namespace semantics = isa::riscv::semantics;

constexpr Handler kHandlers[] = {
#define INSN(id, pattern, operands, extension) &execute<&semantics::id<Evaluator>>,
#define COMPRESSED(id, pattern, operands, meaning, extension) &execute<&semantics::meaning<Evaluator>>,
#include "isa/riscv/instructions.inc"
#undef INSN
#undef COMPRESSED
    &execute<&semantics::illegal<Evaluator>>,
};
static_assert(sizeof kHandlers / sizeof kHandlers[0] == isa::riscv::kInstructionCount);

}  // namespace

Handler handler_of(InstructionId id) {
    return kHandlers[static_cast<size_t>(id)];
}

Handler end_of_block() {
    return &execute_end;
}

}  // namespace doppel::cpu::interpret
