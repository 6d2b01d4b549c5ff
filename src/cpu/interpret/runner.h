// The interpreter's vCPU: the state that handlers work on, and the slow paths behind them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "cpu/interpret/block_cache.h"
#include "cpu/interpret/native_tier.h"
#include "cpu/interpret/soft_tlb.h"
#include "cpu/vcpu.h"
#include "isa/riscv/mmu.h"
#include "isa/riscv/semantics_atomic.h"
#include "isa/riscv/system.h"

namespace doppel::cpu::interpret {

// Where the next block is, by virtual pc in the present fetch context.
struct JumpEntry {
    uint64_t pc = 0;
    Block* block = nullptr;
    uint32_t context = 0;  // 0: empty
};

// How often blocks were entered, approximately: some share a count. It outlives decoded blocks, which are few.
class Heat {
  public:
    // Counts one more for the block at `physical`. When that makes `enough`, counting begins anew: what loses its code
    // has to prove itself again.
    bool grows_to(uint32_t enough, uint64_t physical) {
        uint16_t& count = counts_[(physical >> 1 ^ physical >> 17) % counts_.size()];
        if (++count < enough) return false;
        count = 0;
        return true;
    }

  private:
    std::array<uint16_t, 1 << 16> counts_{};
};

class Runner final : public Vcpu, public NativeHost, private isa::riscv::EngineHooks {
  public:
    explicit Runner(const VcpuParts& parts);
    // What is kept of guest translations; without, they are only found more slowly.
    struct TlbOptions {
        bool grows = true;  // with its misses
        bool keeps_lost_entries = true;
        bool shares_supervisor = true;  // global mappings, between all address spaces
        bool keeps_spaces = true;       // over a change of the address space
    };
    // Before the first run. A block is worth a translation when it was entered `hot` times; 0: before it is entered at
    // all.
    void set_native_tier(std::unique_ptr<NativeTier> tier, uint32_t hot, const TlbOptions& tlbs);
    void set_native_tier(std::unique_ptr<NativeTier> tier, uint32_t hot) { set_native_tier(std::move(tier), hot, {}); }
    ExitReason run(uint64_t budget) override;
    void add_statistics(Statistics& statistics) const override;

    // runner_debug.cpp
    void set_debug_points(std::shared_ptr<const DebugPoints> points) override;
    ExitReason step() override;
    const WatchHit& watch_hit() const override { return watch_hit_; }

    // For the dispatch of blocks (dispatch.h).
    const Op* enter(uint64_t pc) {
        JumpEntry& jump = jumps_[(pc >> 1) & (kJumpEntries - 1)];
        if (jump.pc == pc && jump.context == fetch_context_ && budget_ > 0 &&
            !attention_.load(std::memory_order_relaxed)) {
            budget_ -= jump.block->count;
            block_ = jump.block;
            block_pc_ = pc;
            return jump.block->ops();
        }
        hart_.pc = pc;
        return nullptr;
    }
    uint64_t pc_of(const Op* op) const { return block_pc_ + 2 * uint64_t{op->operands.position}; }

    // Fast-path lookups: the host address of `bytes` at `va`, or nullptr.
    uint8_t* readable(uint64_t va, unsigned bytes) {
        const TlbEntry& entry = data_tlb_->slot(va);
        if (entry.read_tag != ((va + bytes - 1) & kPageMask)) return nullptr;
        return reinterpret_cast<uint8_t*>(va + entry.offset);
    }
    uint8_t* writable(uint64_t va, unsigned bytes) {
        const TlbEntry& entry = data_tlb_->slot(va);
        if (entry.write_tag != ((va + bytes - 1) & kPageMask)) return nullptr;
        return reinterpret_cast<uint8_t*>(va + entry.offset);
    }

    // Slow paths: TLB misses, page crossings, devices. False: `op` trapped, and the handler must leave.
    [[gnu::noinline]] bool load_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t& value);
    [[gnu::noinline]] bool store_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t value);
    // Host memory for an atomic of naturally aligned `bytes`; nullptr: trapped. Who stores there calls finish_atomic
    // behind the store.
    [[gnu::noinline]] uint8_t* atomic_slow(const Op* op, uint64_t va, unsigned bytes, isa::riscv::Access access);
    void finish_atomic() {
        if (slow_atomic_.host != nullptr) [[unlikely]]
            std::exchange(slow_atomic_, {}).note_written();
    }
    [[gnu::noinline]] void trap(const Op* op, uint64_t cause, uint64_t tval);
    [[gnu::noinline]] void illegal(const Op* op);

    // Around a function of system.h: the hart is exact while it runs. `leave_by` does what any outcome but kNext asks
    // for. False from `before_system`: leave at once.
    bool before_system(const Op* op);
    [[gnu::noinline]] void leave_by(const Op* op, const isa::riscv::SystemResult& result);
    isa::riscv::SystemContext system_context() { return {hart_, memory_, environment_, *this}; }

  private:
    static constexpr unsigned kJumpEntries = 4096;
    static constexpr unsigned kFetchEntries = 2048;  // a kernel and its processes run in as many pages
    // Instructions between two looks at the clock: timers are late by at most this. Translated code pays more for it.
    static constexpr int64_t kSlice = 1 << 14, kNativeSlice = 1 << 17;

    struct FetchEntry {
        uint64_t tag = 0;  // page | address space; 0 empty
        isa::riscv::Privilege privilege{};
        bool whole = true;   // false: PMP splits the page or it is not kept, and each halfword is checked by itself
        bool stops = false;  // the page has breakpoints: its instructions are executed one by one
        uint64_t physical = 0;
        const uint8_t* host = nullptr;
    };

    // NativeHost
    bool fill(uint64_t va, unsigned bytes, bool writes) override;
    void drop_code_writes() override;
    std::optional<isa::riscv::SystemContext> begin_system(uint64_t pc, int64_t left) override;
    SoftTlb* goes_on_with() override { return must_leave() ? nullptr : data_tlb_; }
    bool undoes() const override { return false; }
    std::optional<CodePlace> place() override;
    Interpreted interpret(uint64_t count, SoftTlb& tlb) override;

    // EngineHooks
    void drop_translations(const uint64_t* address, const uint64_t* asid) override;
    void drop_instructions() override;
    void context_changed() override;
    void pause() override;

    void drop_all_translations();
    void drop_page(uint64_t va);
    void drop_jumps();
    void clear_caches();
    void refresh_context();
    bool serve_requests();  // whether an exit is among them
    void take_interrupt();
    void enter_trap(uint64_t cause, uint64_t tval);  // at hart_.pc
    // Run about `slice` instructions (up to a block more), or exactly one.
    void execute(int64_t slice);
    void execute_single();
    bool must_leave() const {
        return waiting_ || calling_firmware_ || failed_ || debug_event_ != DebugEvent::kNone ||
               attention_.load(std::memory_order_relaxed);
    }
    void run_ops(const Op* op);
    CodePlace place_in(const FetchEntry& page) const;  // of hart.pc
    void translate(const CodePlace& place);            // the block at hart.pc
    // Whether it is worth it now, the block being entered.
    bool becomes_hot(uint64_t physical) { return hot_ != 0 && heat_.grows_to(hot_ << native_->scarcity(), physical); }
    bool run_native();  // false: a block is to be interpreted
    // The block, or the single instruction, at hart_.pc; nullptr: a fault was taken instead.
    const Op* find_block();
    const Op* find_single();
    const Op* find_block_within(int64_t most);  // for interpret()
    Block* cached_block(const FetchEntry& page);
    // The page of `va` for fetching, nullptr: a fault was taken at hart_.pc with tval `va`.
    const FetchEntry* fetch_page(uint64_t va);
    bool fetch_half(uint64_t va, uint32_t& half);
    // Fills the TLB when the page allows it. The result's `physical` is the address's.
    isa::riscv::Translation translate_data(uint64_t va, unsigned bytes, isa::riscv::Access access);
    // Host memory for an access within a page. A store to it is noted once it is done: until then another hart's
    // fence.i finds the old code and takes the note.
    struct MemoryPart {
        uint8_t* host = nullptr;  // null: trapped
        const memory::Region* region = nullptr;
        uint64_t physical = 0;
        unsigned bytes = 0;
        void note_written() const { memory::GuestMemory::mark_dirty(*region, physical, bytes); }
    };
    // Devices are not memory.
    MemoryPart memory_part(const Op* op, uint64_t va, unsigned bytes, isa::riscv::Access access);
    bool load_uncached(const Op* op, uint64_t va, unsigned bytes, uint64_t& value);
    bool store_uncached(const Op* op, uint64_t va, unsigned bytes, uint64_t value);
    bool load_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t& value);
    bool store_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t value);
    unsigned index_of(const Op* op) const { return static_cast<unsigned>(op - block_->ops()); }
    void note_large_page(uint64_t va, uint64_t span);
    // Whether a mapping may be kept in its space; if not, supervisor mappings are no longer shared from the next slice
    // on.
    bool may_keep(const isa::riscv::Translation& found, bool is_shared) {
        if (found.global || !is_shared) return true;
        supervisor_is_local_ = true;
        return false;
    }

    // runner_debug.cpp. A watched access leaves its block undone, and then its instruction runs by itself.
    enum class DebugEvent : uint8_t { kNone, kBreakpoint, kWatchedNext };
    bool stops_at_breakpoint();
    // True: the handler must leave, as after a trap.
    bool watched(const Op* op, uint64_t va, unsigned bytes, isa::riscv::Access access) {
        return points_ != nullptr && watched_access(op, va, bytes, access);
    }
    bool watched_access(const Op* op, uint64_t va, unsigned bytes, isa::riscv::Access access);
    bool watched_system(const Op* op);
    void execute_watched();
    // nullopt: go on.
    std::optional<ExitReason> serve_debug_event();

    // runner_trace.cpp
    void note_traced_kinds();
    std::optional<ExitReason> execute_traced(uint64_t budget);
    void trace_trap(const TracedTrap& taken);
    bool load_traced(const Op* op, uint64_t va, unsigned bytes, uint64_t& value);
    bool store_traced(const Op* op, uint64_t va, unsigned bytes, uint64_t value);
    void note_traced_atomic(uint64_t va, const MemoryPart& part);
    // Of the first byte of an access, whose pages are translated in order.
    void note_traced_physical(uint64_t physical) {
        if (!traced_physical_) traced_physical_ = physical;
    }
    TracedAccess traced(TracedAccess::Kind kind, uint64_t va, unsigned bytes, uint64_t value) const;
    // Tells of what only the whole instruction has done.
    void finish_traced(uint64_t retired_before);

    isa::riscv::Hart& hart_;
    memory::GuestMemory& memory_;
    const device::Bus& bus_;
    const isa::riscv::Environment& environment_;

    // The block under execution, and what is left of the slice; the block's whole count is already taken from it.
    Block* block_ = nullptr;
    uint64_t block_pc_ = 0;
    int64_t budget_ = 0;
    uint64_t retired_at_slice_end_ = 0;  // hart_.retired is this minus budget_
    bool waiting_ = false;
    unsigned pauses_ = 0;
    bool calling_firmware_ = false;
    bool failed_ = false;

    // What addresses mean now. The fetch context numbers (jump epoch, address space, privilege); jumps_ of others do
    // not count.
    uint32_t fetch_context_ = 0;
    uint32_t jump_epoch_ = 0;
    uint32_t translation_version_ = 0;
    uint32_t data_space_ = 0;
    uint32_t fetch_space_ = 0;
    // Supervisor mappings are one space as long as all that were used are global: what a kernel leaves in the caches is
    // there in every process.
    bool supervisor_is_local_ = false;
    bool data_is_shared_ = false, fetch_is_shared_ = false;
    SoftTlb* data_tlb_ = nullptr;
    unsigned data_tlb_mode_ = 0;  // user, supervisor, supervisor with SUM, machine
    isa::riscv::AccessMode data_mode_{};
    bool mxr_ = false;
    uint64_t pending_seen_ = 0;  // interrupts when they were last looked at

    MemoryPart slow_atomic_;  // what the present atomic stores to, unless through the soft TLB

    TlbPool data_tlbs_;
    std::array<FetchEntry, kFetchEntries> fetch_tlb_;
    std::array<JumpEntry, kJumpEntries> jumps_;
    AddressSpaces spaces_;
    PageFilter<1 << 12> fetched_pages_;  // pages with entries in jumps_
    PageFilter<1 << 12> large_pages_;    // 2 MiB and 1 GiB ranges with mappings of more than 4 KiB
    bool vast_pages_ = false;            // a mapping of more than 1 GiB was used
    uint32_t fence_number_ = 1;
    BlockCache blocks_;
    std::unique_ptr<NativeTier> native_;  // null: everything is interpreted
    uint32_t hot_ = 0;
    int64_t slice_ = kSlice;
    Heat heat_;
    SingleBlock single_{};

    // Since it was made.
    struct {
        uint64_t instructions = 0;
        uint64_t data_tlb_fills = 0;
        uint64_t fetch_tlb_fills = 0;
        uint64_t exceptions = 0;
        uint64_t interrupts = 0;
        uint64_t translation_fences = 0;
        uint64_t instruction_fences = 0;
    } counts_;

    std::shared_ptr<const DebugPoints> points_;  // null: nothing to look for
    DebugEvent debug_event_ = DebugEvent::kNone;
    bool executing_watched_ = false;
    bool was_hit_ = false;  // by the instruction of execute_watched
    WatchHit watch_hit_;

    Trace* const trace_;  // null: nobody asks
    bool traces_instructions_ = false;
    bool traces_memory_ = false;
    bool traces_singly_ = false;  // either
    std::optional<uint64_t> traced_physical_;
    std::optional<TracedAccess> traced_atomic_;
};

}  // namespace doppel::cpu::interpret
