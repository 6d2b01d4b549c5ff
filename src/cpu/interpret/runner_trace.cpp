// What the interpreter does for a trace. With instructions or memory accesses in it, instructions run one by one and
// the soft TLB for data stays empty, so that each access takes the slow path, which tells of it. Traps are told of
// where they are taken, which is slow already. Without a trace nothing here runs.
#include <algorithm>
#include <utility>

#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {

using isa::riscv::Access;

namespace {

uint64_t narrowed(uint64_t value, unsigned bytes) {
    return bytes < 8 ? value & ((uint64_t{1} << (8 * bytes)) - 1) : value;
}

// A word or doubleword that other harts may be writing.
uint64_t read_atomic(const memory::GuestMemory& memory, uint64_t physical, unsigned bytes) {
    if (bytes == 4) return memory.load<uint32_t>(physical).value_or(0);
    return memory.load<uint64_t>(physical).value_or(0);
}

}  // namespace

void Runner::note_traced_kinds() {
    traces_instructions_ = trace_->wants(trace_kind::kInstructions);
    traces_memory_ = trace_->wants(trace_kind::kMemory);
    traces_singly_ = trace_->wants(trace_kind::kSingly);
}

std::optional<ExitReason> Runner::execute_traced(uint64_t budget) {
    constexpr uint64_t kTracedSlice = 1 << 10;
    for (uint64_t left = std::min(budget, kTracedSlice); left > 0 && !must_leave(); left--) {
        if (points_ != nullptr && points_->breaks_at(hart_.pc)) return ExitReason::kBreakpoint;
        execute_watched();
        if (was_hit_) return ExitReason::kWatchpoint;
    }
    return std::nullopt;
}

void Runner::trace_trap(const TracedTrap& taken) {
    bool interrupt = (taken.cause & isa::riscv::cause::kInterrupt) != 0;
    unsigned kinds = interrupt ? trace_kind::kInterrupts : trace_kind::kTraps | trace_kind::kFirmware;
    if (trace_->wants(kinds)) trace_->trap(hart_, taken);
}

bool Runner::load_traced(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    traced_physical_.reset();
    if (!load_uncached(op, va, bytes, value)) return false;
    trace_->access(hart_, traced(TracedAccess::Kind::kLoad, va, bytes, value));
    return true;
}

bool Runner::store_traced(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    traced_physical_.reset();
    if (!store_uncached(op, va, bytes, value)) return false;
    trace_->access(hart_, traced(TracedAccess::Kind::kStore, va, bytes, value));
    return true;
}

void Runner::note_traced_atomic(uint64_t va, const MemoryPart& part) {
    traced_physical_ = part.physical;
    uint64_t before = read_atomic(memory_, part.physical, part.bytes);
    traced_atomic_ = traced(TracedAccess::Kind::kAtomic, va, part.bytes, before);
}

TracedAccess Runner::traced(TracedAccess::Kind kind, uint64_t va, unsigned bytes, uint64_t value) const {
    uint64_t shown = narrowed(value, bytes);
    return {kind, bytes, va, traced_physical_.value_or(va), shown, shown, block_pc_, hart_.retired};
}

void Runner::finish_traced(uint64_t retired_before) {
    auto atomic = std::exchange(traced_atomic_, std::nullopt);
    if (!traces_memory_ || hart_.retired == retired_before) return;  // the latter: it trapped
    if (atomic) {
        atomic->after = read_atomic(memory_, atomic->physical, atomic->bytes);
        trace_->access(hart_, *atomic);
        return;
    }
    static const Handler kZeroBlock = handler_of(isa::riscv::InstructionId::k_cbo_zero);
    if (single_.ops[0].handler != kZeroBlock) return;
    constexpr unsigned kBytes = isa::riscv::kCacheBlockBytes;
    uint64_t block = hart_.x[single_.ops[0].operands.rs1] & ~uint64_t{kBytes - 1};
    auto found = isa::riscv::translate(hart_, memory_, block, kBytes, Access::kStore, isa::riscv::data_mode(hart_));
    traced_physical_ = found.ok ? found.physical : block;
    TracedAccess zeroed = traced(TracedAccess::Kind::kStore, block, kBytes, 0);
    zeroed.retired = retired_before;
    trace_->access(hart_, zeroed);
}

}  // namespace doppel::cpu::interpret
