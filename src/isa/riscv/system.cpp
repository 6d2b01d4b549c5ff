#include "isa/riscv/system.h"

#include "isa/riscv/csr.h"
#include "isa/riscv/csr_aia.h"
#include "isa/riscv/mmu.h"
#include "isa/riscv/trap.h"

namespace doppel::isa::riscv {

namespace {

// An enable in menvcfg, and for U-mode in senvcfg too.
bool enabled(const Hart& hart, uint64_t field) {
    if (hart.privilege == Privilege::kMachine) return true;
    if (!(hart.csr.menvcfg & field)) return false;
    return hart.privilege == Privilege::kSupervisor || (hart.csr.senvcfg & field);
}

// Management operations need either read or write permission and fault as stores (Zicbom, "Traps").
SystemResult manage_cache_block(SystemContext& c, uint64_t address) {
    AccessMode mode = data_mode(c.hart);
    if (translate(c.hart, c.memory, address, 1, Access::kLoad, mode).ok) return {};
    Translation as_store = translate(c.hart, c.memory, address, 1, Access::kStore, mode);
    return as_store.ok ? SystemResult{} : SystemResult::trap(as_store.cause, address);
}

bool may_fence_translations(const Hart& hart) {
    if (hart.privilege == Privilege::kUser) return false;
    return hart.privilege == Privilege::kMachine || !(hart.csr.mstatus & mstatus::kTvm);
}

}  // namespace

SystemResult csr_access(SystemContext& c, uint32_t number, CsrOperation operation, uint64_t operand) {
    bool writes = operation != CsrOperation::kRead;
    if (writes && !csr_writable(c.hart, number)) return SystemResult::illegal();
    if (!writes && number == csr_number::kSeed) return SystemResult::illegal();  // only read-write accesses (Zkr)
    auto old = csr_read(c.hart, c.environment, number);
    if (!old) return SystemResult::illegal();
    if (!writes) return {SystemResult::Outcome::kNext, *old};
    // Set and clear concern the bits that they name only.
    uint64_t mask = operation == CsrOperation::kWrite ? ~uint64_t{0} : operand;
    uint64_t bits = operation == CsrOperation::kClear ? 0 : operand;
    // Lines and the timer's comparison are not part of what set and clear write back ("mip": the SEIP rule).
    bool interrupts = number == csr_number::kMip || number == csr_number::kMvip || number == csr_number::kSip;
    if (interrupts) {
        if (!csr_write_interrupts(c.hart, number, bits, mask)) return SystemResult::illegal();
    } else if (aia::written_with_read(number)) {
        aia::write_after_read(c.hart, number, bits, mask, *old);
    } else if (!csr_write(c.hart, number, (*old & ~mask) | (bits & mask))) {
        return SystemResult::illegal();
    }
    c.hart.reservation.bytes = 0;  // its virtual address may name another place now
    c.engine.context_changed();
    return {SystemResult::Outcome::kNext, *old};
}

SystemResult environment_call(SystemContext& c) {
    switch (c.hart.privilege) {
        case Privilege::kUser:
            return SystemResult::trap(cause::kEcallUser, 0);
        case Privilege::kSupervisor:
            if (c.hart.host_firmware) return {SystemResult::Outcome::kFirmwareCall};
            return SystemResult::trap(cause::kEcallSupervisor, 0);
        default:
            return SystemResult::trap(cause::kEcallMachine, 0);
    }
}

SystemResult breakpoint(SystemContext& c) {
    return SystemResult::trap(cause::kBreakpoint, c.hart.pc);
}

SystemResult machine_return(SystemContext& c) {
    if (c.hart.privilege != Privilege::kMachine) return SystemResult::illegal();
    return_from_machine_trap(c.hart);
    c.engine.context_changed();
    return {SystemResult::Outcome::kJump};
}

SystemResult supervisor_return(SystemContext& c) {
    bool trapped = c.hart.privilege == Privilege::kSupervisor && (c.hart.csr.mstatus & mstatus::kTsr);
    if (c.hart.privilege == Privilege::kUser || trapped) return SystemResult::illegal();
    return_from_supervisor_trap(c.hart);
    c.engine.context_changed();
    return {SystemResult::Outcome::kJump};
}

SystemResult pause(SystemContext& c) {
    c.engine.pause();
    return {};
}

SystemResult wait_for_interrupt(SystemContext& c) {
    bool time_limited = c.hart.privilege != Privilege::kMachine && (c.hart.csr.mstatus & mstatus::kTw);
    // U-mode may not wait at all: S-mode exists ("Wait for Interrupt").
    if (c.hart.privilege == Privilege::kUser || time_limited) return SystemResult::illegal();
    bool wakes = (interrupts_pending(c.hart, c.environment) & c.hart.csr.mie) != 0;
    return {wakes ? SystemResult::Outcome::kNext : SystemResult::Outcome::kWait};
}

SystemResult fence_instructions(SystemContext& c) {
    c.engine.drop_instructions();
    return {};
}

SystemResult fence_translations(SystemContext& c, uint64_t address, bool all_addresses, uint64_t asid,
                                bool all_spaces) {
    if (!may_fence_translations(c.hart)) return SystemResult::illegal();
    uint64_t space = asid & 0xffff;
    c.engine.drop_translations(all_addresses ? nullptr : &address, all_spaces ? nullptr : &space);
    return {};
}

SystemResult fence_invalidations(SystemContext& c) {
    // sinval.vma acts at once, so its two fences only order; TVM does not concern them (Svinval).
    return c.hart.privilege == Privilege::kUser ? SystemResult::illegal() : SystemResult{};
}

SystemResult cache_block_invalidate(SystemContext& c, uint64_t address) {
    if (!enabled(c.hart, envcfg::kCbie)) return SystemResult::illegal();
    return manage_cache_block(c, address);
}

SystemResult cache_block_clean(SystemContext& c, uint64_t address) {
    if (!enabled(c.hart, envcfg::kCbcfe)) return SystemResult::illegal();
    return manage_cache_block(c, address);
}

bool zeroes_cache_blocks(const Hart& hart) {
    return enabled(hart, envcfg::kCbze);
}

SystemResult cache_block_zero(SystemContext& c, uint64_t address) {
    if (!zeroes_cache_blocks(c.hart)) return SystemResult::illegal();
    uint64_t block = address & ~uint64_t{kCacheBlockBytes - 1};
    Translation translation = translate(c.hart, c.memory, block, kCacheBlockBytes, Access::kStore, data_mode(c.hart));
    if (!translation.ok) return SystemResult::trap(translation.cause, address);
    const memory::Region* region = c.memory.find(translation.physical, kCacheBlockBytes);
    if (region == nullptr || !region->writable || !c.memory.fill(translation.physical, kCacheBlockBytes, 0)) {
        return SystemResult::trap(cause::kStoreAccess, address);
    }
    return {};
}

}  // namespace doppel::isa::riscv
