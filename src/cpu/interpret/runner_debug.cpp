// What the interpreter does for a debugger. Pages with breakpoints are executed instruction by instruction, and pages
// with watchpoints have no entries in the soft TLB, so that everything else keeps its speed.
#include <utility>

#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {

using isa::riscv::Access;

void Runner::set_debug_points(std::shared_ptr<const DebugPoints> points) {
    points_ = points != nullptr && !points->empty() ? std::move(points) : nullptr;
    debug_event_ = DebugEvent::kNone;
    drop_all_translations();
    drop_jumps();
}

bool Runner::stops_at_breakpoint() {
    if (executing_watched_ || !points_->breaks_at(hart_.pc)) return false;
    debug_event_ = DebugEvent::kBreakpoint;
    return true;
}

bool Runner::watched_access(const Op* op, uint64_t va, unsigned bytes, Access access) {
    auto hit = points_->hit(va, bytes, access == Access::kStore);
    if (!hit) return false;
    if (executing_watched_) {
        if (!std::exchange(was_hit_, true)) watch_hit_ = *hit;
        return false;
    }
    // The hart is as before the instruction, which then runs with nothing behind it in its block.
    hart_.pc = pc_of(op);
    budget_ += block_->count - index_of(op);
    debug_event_ = DebugEvent::kWatchedNext;
    return true;
}

bool Runner::watched_system(const Op* op) {
    static const Handler kZeroBlock = handler_of(isa::riscv::InstructionId::k_cbo_zero);
    if (op->handler != kZeroBlock) return false;
    uint64_t block = hart_.x[op->operands.rs1] & ~uint64_t{isa::riscv::kCacheBlockBytes - 1};
    return watched_access(op, block, isa::riscv::kCacheBlockBytes, Access::kStore);
}

void Runner::execute_watched() {
    executing_watched_ = true;
    was_hit_ = false;
    uint64_t before = hart_.retired;
    execute_single();
    executing_watched_ = false;
    if (traces_singly_) finish_traced(before);
    // An access that faulted was none; the guest makes it again when it has seen to the fault.
    if (hart_.retired == before) was_hit_ = false;
}

std::optional<ExitReason> Runner::serve_debug_event() {
    if (std::exchange(debug_event_, DebugEvent::kNone) == DebugEvent::kBreakpoint) return ExitReason::kBreakpoint;
    execute_watched();
    return was_hit_ ? std::optional(ExitReason::kWatchpoint) : std::nullopt;
}

ExitReason Runner::step() {
    executing_.store(true);
    hart_.pc &= ~uint64_t{1};
    refresh_context();
    if (trace_ != nullptr) note_traced_kinds();
    serve_requests();
    uint64_t before = hart_.retired;
    execute_watched();
    counts_.instructions += hart_.retired - before;
    bool waits = std::exchange(waiting_, false), calls = std::exchange(calling_firmware_, false);
    executing_.store(false);
    if (was_hit_) return ExitReason::kWatchpoint;
    if (waits) return ExitReason::kWait;
    return calls ? ExitReason::kFirmwareCall : ExitReason::kBudget;
}

}  // namespace doppel::cpu::interpret
