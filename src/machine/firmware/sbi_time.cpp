// Chapter "Timer Extension".
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

// With Sstc the comparison itself is the pending bit, so a time to come clears it.
void set_timer(isa::riscv::Hart& hart, uint64_t time) {
    hart.csr.stimecmp = time;
    hart.pending.fetch_and(~isa::riscv::irq::bit(isa::riscv::irq::kSupervisorTimer));
}

SbiAnswer sbi_time(SbiCall& call) {
    if (call.function() != 0) return answer(SbiError::kNotSupported);
    set_timer(call.hart, call.argument(0));
    return {};
}

}  // namespace doppel::machine::firmware
