// What may run guest code faster than the interpreter, beneath it: the interpreter keeps the architecture (fetching,
// faults, interrupts, devices), and asks for translated code before it executes a block.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/interpret/soft_tlb.h"
#include "cpu/statistics.h"
#include "isa/riscv/system.h"

namespace doppel::cpu::interpret {

// The instruction at `pc`, where it is in memory, and its bytes up to the page's end.
struct CodePlace {
    uint64_t pc;
    uint64_t physical;
    const uint8_t* code;
    // Of an instruction of four bytes that ends in the next page, where that half is; otherwise null.
    uint64_t other_physical = 0;
    const uint8_t* other_half = nullptr;
};

// What the interpreter did for a tier.
struct Interpreted {
    bool whole;   // all instructions retired
    bool missed;  // an access was not in the soft TLB, which has its page now
};

// What a tier asks of the vCPU that it belongs to.
class NativeHost {
  public:
    virtual ~NativeHost() = default;
    // Brings the page of an access into the present soft TLB; false: the access is not for translated code.
    virtual bool fill(uint64_t va, unsigned bytes, bool writes) = 0;
    // No write entry of any soft TLB leads to a page that holds translated code.
    virtual void drop_code_writes() = 0;

    // What a function of system.h wants, for the instruction at `pc`, before which `left` instructions of the budget
    // are; hart.pc means nothing afterwards. nullopt: it is not for translated code.
    virtual std::optional<isa::riscv::SystemContext> begin_system(uint64_t pc, int64_t left) = 0;
    // The soft TLB with which translated code goes on after that, if the tier itself knows nothing against it; nullptr:
    // it must not. Another one than before where supervisors reach user pages (SUM), for a copy from or to them.
    virtual SoftTlb* goes_on_with() = 0;

    // Whether an instruction that translated code leaves to the interpreter must have done nothing of its own, where it
    // may have begun otherwise (vstart).
    virtual bool undoes() const = 0;

    // ---- For a tier that compares, while it runs.

    // hart.pc; nullopt: it is not for translated code, or a fetch fault was taken.
    virtual std::optional<CodePlace> place() = 0;
    // Executes `count` instructions from hart.pc by interpretation, their data accesses through `tlb`; the budget of
    // the present run pays. One that traps is the last.
    virtual Interpreted interpret(uint64_t count, SoftTlb& tlb) = 0;
};

// Of one vCPU, on its thread.
class NativeTier {
  public:
    enum class Next : uint8_t {
        kGoOn,            // at hart.pc
        kInterpretBlock,  // there is no code for hart.pc
        kInterpretOne,    // the instruction at hart.pc is not for translated code
        kFail,            // the tier found itself in error, and the machine must not go on
    };
    virtual ~NativeTier() = default;

    // Runs translated code from `place`, which is hart.pc, as long as there is some and the budget covers it. The hart
    // is exact afterwards, but for `retired`.
    virtual Next run(const CodePlace& place, SoftTlb& tlb, int64_t& budget) = 0;
    // The block at `place` is executed often.
    virtual void translate(const CodePlace& place) = 0;
    // `context` names the address space and privilege of fetches.
    virtual void context_changed(uint32_t context) = 0;
    // Virtual addresses may lead elsewhere: all, or those in one page, in whatever address space.
    virtual void drop_jumps() = 0;
    virtual void drop_jumps_to(uint64_t page) = 0;
    // fence.i
    virtual void fence_instructions() = 0;
    // Around the execution of guest code.
    virtual void begin() = 0;
    virtual void end() = 0;
    // A store went to the page at this guest physical address, which holds translated code.
    virtual void note_code_write(uint64_t physical) = 0;

    // How much more often than usual a block is to be entered before it is worth a translation, as a power of two:
    // where there is little room, none lasts.
    virtual unsigned scarcity() const { return 0; }

    // Executed in translated code since it was made.
    virtual uint64_t instructions() const = 0;
    // What it has counted besides.
    virtual void add_statistics(Statistics& statistics) const = 0;
};

}  // namespace doppel::cpu::interpret
