// Where a debugger wants a vCPU to stop. By virtual addresses, whatever address space they are used in.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace doppel::cpu {

// A range of data: an access that touches a byte of it stops the vCPU when the instruction is complete.
struct Watchpoint {
    uint64_t first = 0;
    uint64_t last = 0;  // inclusive
    bool reads = false;
    bool writes = false;
    bool operator==(const Watchpoint&) const = default;
};

struct WatchHit {
    Watchpoint point;
    uint64_t address = 0;  // the first byte that the access and the range share
};

// Immutable once a vCPU has it, so that all vCPUs of a machine share one.
class DebugPoints {
  public:
    // In any order, repetitions allowed.
    DebugPoints(std::vector<uint64_t> breakpoints, std::vector<Watchpoint> watchpoints);

    bool empty() const { return breakpoints_.empty() && watchpoints_.empty(); }
    bool has_watchpoints() const { return !watchpoints_.empty(); }
    bool breaks_at(uint64_t pc) const;
    // Pages are of 4096 bytes; any address inside names one.
    bool breaks_in_page(uint64_t address) const;
    bool watches_page(uint64_t address) const;
    // Which point an access of `bytes` (1 or more) hits; nullopt: none.
    std::optional<WatchHit> hit(uint64_t address, unsigned bytes, bool writes) const;

  private:
    std::vector<uint64_t> breakpoints_;  // sorted
    std::vector<Watchpoint> watchpoints_;
};

}  // namespace doppel::cpu
