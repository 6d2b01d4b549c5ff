// What a vCPU tells of its guest while somebody traces it: the same from every engine.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/trace_kind.h"
#include "isa/riscv/hart.h"

namespace doppel::cpu {

struct TracedAccess {
    enum class Kind : uint8_t { kLoad, kStore, kAtomic };  // kAtomic: LR, SC and AMO
    Kind kind;
    unsigned bytes;     // 1 to 8; 64: a cache block that is zeroed
    uint64_t address;   // virtual
    uint64_t physical;  // of its first byte
    uint64_t value;     // loaded or stored, zero-extended; of an atomic: what was there right before it
    uint64_t after;     // of an atomic: what is there right after it; another hart may have come between
    uint64_t pc;        // of the instruction
    uint64_t retired;   // instructions before it
};

struct TracedTrap {
    uint64_t cause;  // as in mcause
    uint64_t pc;     // what the trap's epc says
    uint64_t tval;
    isa::riscv::Privilege from;
    uint64_t retired;  // instructions before it
};

// Guest code that an engine has made host code of.
struct TracedTranslation {
    struct Block {
        uint64_t pc;  // virtual, of the hart that asked for it
        std::vector<uint8_t> code;
        std::string intermediate;  // the engine's own form of it, in lines
    };
    std::vector<Block> blocks;  // several: compiled as one; none: nothing was translated
    bool is_loaded = false;     // it was translated by an earlier machine; there is no intermediate form
    struct HostCode {
        std::vector<uint8_t> code;
        uint64_t address;
    };
    std::array<HostCode, 2> host_code;  // what is executed usually, and what rarely
};

// One vCPU's; used by its hart's thread.
class Trace {
  public:
    explicit Trace(unsigned kinds) : kinds_(kinds) {}
    virtual ~Trace() = default;
    // Whether any of `kinds` (trace_kind) is wanted. Kinds may fall away but never come: an engine asks at each `run`,
    // and then spends nothing on what nobody wants any more.
    bool wants(unsigned kinds) const { return (kinds_ & kinds) != 0; }

    // Only what is wanted is told.
    // An instruction about to be executed, at hart.pc; `bits` holds 16 or 32 of them. It may trap all the same.
    virtual void instruction(const isa::riscv::Hart& hart, uint32_t bits) = 0;
    // An access that an instruction has made. Those of page-table walks, fetches and devices are none.
    virtual void access(const isa::riscv::Hart& hart, const TracedAccess& access) = 0;
    // An exception (for kTraps and kFirmware) or interrupt that was taken: the hart is where it leads.
    virtual void trap(const isa::riscv::Hart& hart, const TracedTrap& trap) = 0;
    // Right after hart.retired instructions, or up to a slice of instructions before.
    virtual void translation(const isa::riscv::Hart& hart, const TracedTranslation& translation) = 0;

  protected:
    void keep_only(unsigned kinds) { kinds_ &= kinds; }

  private:
    unsigned kinds_;
};

}  // namespace doppel::cpu
