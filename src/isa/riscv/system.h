// The instructions that reach beyond registers and memory, as functions that every engine calls: CSR accesses, trap
// returns, environment calls, fences of the address translation, cache-block operations.
#pragma once

#include <cstdint>

#include "isa/riscv/hart.h"
#include "memory/guest_memory.h"

namespace doppel::isa::riscv {

// What an engine keeps besides the architectural state, and must drop when the guest says so. Called on the hart's
// thread.
class EngineHooks {
  public:
    virtual ~EngineHooks() = default;
    // sfence.vma: of one page or all, of one address space or all.
    virtual void drop_translations(const uint64_t* address, const uint64_t* asid) = 0;
    // fence.i: instructions fetched from now on are what memory holds.
    virtual void drop_instructions() = 0;
    // What translation or fetching depends on may have changed (satp, privilege, mstatus, PMP, menvcfg).
    virtual void context_changed() = 0;
    // pause: the hart waits for another one, and may let that have the processor.
    virtual void pause() = 0;
};

struct SystemContext {
    Hart& hart;
    memory::GuestMemory& memory;
    const Environment& environment;
    EngineHooks& engine;
};

struct SystemResult {
    enum class Outcome : uint8_t {
        kNext,          // go on behind the instruction; `value` is the result, if it has one
        kJump,          // go on at hart.pc
        kIllegal,       // illegal-instruction exception, tval the instruction
        kTrap,          // exception `value` with `tval`
        kWait,          // WFI with nothing pending: retire, then wait for an interrupt
        kFirmwareCall,  // an environment call that the host answers: hart.pc stays at the instruction, which does not
                        // retire
    };
    Outcome outcome = Outcome::kNext;
    uint64_t value = 0;
    uint64_t tval = 0;

    static SystemResult trap(uint64_t cause, uint64_t tval) { return {Outcome::kTrap, cause, tval}; }
    static SystemResult illegal() { return {Outcome::kIllegal}; }
};

enum class CsrOperation : uint8_t { kWrite, kSet, kClear, kRead };

// hart.pc is at the instruction and hart.retired counts what came before it.
SystemResult csr_access(SystemContext& c, uint32_t number, CsrOperation operation, uint64_t operand);
SystemResult environment_call(SystemContext& c);
SystemResult breakpoint(SystemContext& c);
SystemResult machine_return(SystemContext& c);
SystemResult supervisor_return(SystemContext& c);
SystemResult pause(SystemContext& context);
SystemResult wait_for_interrupt(SystemContext& c);
SystemResult fence_instructions(SystemContext& c);
// Registers' values and numbers: x0 means all.
SystemResult fence_translations(SystemContext& c, uint64_t address, bool all_addresses, uint64_t asid, bool all_spaces);
SystemResult fence_invalidations(SystemContext& c);
SystemResult cache_block_invalidate(SystemContext& c, uint64_t address);
SystemResult cache_block_clean(SystemContext& c, uint64_t address);
SystemResult cache_block_zero(SystemContext& c, uint64_t address);
// Whether the hart may zero cache blocks at all; else that is illegal.
bool zeroes_cache_blocks(const Hart& hart);

}  // namespace doppel::isa::riscv
