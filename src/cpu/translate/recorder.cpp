#include "cpu/translate/recorder.h"

#include "isa/riscv/semantics.h"

namespace doppel::cpu::translate {

namespace {

namespace semantics = isa::riscv::semantics;
using Record = void (*)(Recorder&, const isa::riscv::Operands&);

constexpr Record kRecords[] = {
#define INSN(id, pattern, operands, extension) &semantics::id<Recorder>,
#define COMPRESSED(id, pattern, operands, meaning, extension) &semantics::meaning<Recorder>,
#include "isa/riscv/instructions.inc"
#undef INSN
#undef COMPRESSED
    &semantics::illegal<Recorder>,
};
static_assert(sizeof kRecords / sizeof kRecords[0] == isa::riscv::kInstructionCount);

}  // namespace

void record(Recorder& recorder, isa::riscv::InstructionId id, const isa::riscv::Operands& operands) {
    kRecords[static_cast<size_t>(id)](recorder, operands);
}

}  // namespace doppel::cpu::translate
