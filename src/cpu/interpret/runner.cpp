#include "cpu/interpret/runner.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "base/byte_order.h"
#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/interpreter.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/trap.h"

namespace doppel::cpu::interpret {

using isa::riscv::Access;
using isa::riscv::Privilege;
using isa::riscv::SystemResult;
using isa::riscv::Translation;

std::unique_ptr<Vcpu> Interpreter::make_vcpu(const VcpuParts& parts) const {
    return std::make_unique<Runner>(parts);
}

Runner::Runner(const VcpuParts& parts)
    : hart_(parts.hart), memory_(parts.memory), bus_(parts.bus), environment_(parts.environment), trace_(parts.trace) {
    attention_.store(true);
}

ExitReason Runner::run(uint64_t budget) {
    executing_.store(true);
    hart_.pc &= ~uint64_t{1};  // IALIGN is 16; whoever set it outside may not know
    if (native_ != nullptr) native_->begin();
    refresh_context();
    if (trace_ != nullptr) [[unlikely]]
        note_traced_kinds();
    ExitReason reason = ExitReason::kBudget;
    while (true) {
        if (attention_.exchange(false)) {
            if (serve_requests()) {
                reason = ExitReason::kAttention;
                break;
            }
        }
        take_interrupt();
        if (budget == 0) break;
        uint64_t before = hart_.retired;
        std::optional<ExitReason> stopped;
        if (traces_singly_) [[unlikely]] {
            stopped = execute_traced(budget);
        } else if (budget > kMaxBlockOps) {
            execute(static_cast<int64_t>(std::min<uint64_t>(slice_, budget - kMaxBlockOps)));
        } else {
            execute_single();
        }
        if (debug_event_ != DebugEvent::kNone) [[unlikely]]
            stopped = serve_debug_event();
        budget -= hart_.retired - before;
        counts_.instructions += hart_.retired - before;
        if (stopped) {
            reason = *stopped;
            break;
        }
        if (std::exchange(waiting_, false)) {
            reason = ExitReason::kWait;
            break;
        }
        if (std::exchange(calling_firmware_, false)) {
            reason = ExitReason::kFirmwareCall;
            break;
        }
        if (failed_) [[unlikely]] {
            reason = ExitReason::kFailed;
            break;
        }
    }
    if (native_ != nullptr) native_->end();
    executing_.store(false);
    return reason;
}

void Runner::add_statistics(Statistics& statistics) const {
    uint64_t native = native_ != nullptr ? native_->instructions() : 0;
    statistics.add("instructions", counts_.instructions);
    statistics.add("translated_instructions", native);
    statistics.add("interpreted_instructions", counts_.instructions - native);
    statistics.add("exceptions", counts_.exceptions);
    statistics.add("interrupts", counts_.interrupts);
    statistics.add("data_tlb_fills", counts_.data_tlb_fills);
    statistics.add("fetch_tlb_fills", counts_.fetch_tlb_fills);
    statistics.add("translation_fences", counts_.translation_fences);
    statistics.add("instruction_fences", counts_.instruction_fences);
    if (native_ != nullptr) native_->add_statistics(statistics);
}

bool Runner::serve_requests() {
    uint32_t requests = take_requests();
    if (requests & kTranslationFence) drop_translations(nullptr, nullptr);
    if (requests & kInstructionFence) drop_instructions();
    return (requests & kExit) != 0;
}

void Runner::take_interrupt() {
    pending_seen_ = isa::riscv::interrupts_pending(hart_, environment_);
    if (auto number = isa::riscv::interrupt_to_take(hart_, pending_seen_)) {
        retired_at_slice_end_ = hart_.retired;
        budget_ = 0;
        enter_trap(isa::riscv::cause::kInterrupt | *number, 0);
    }
}

void Runner::enter_trap(uint64_t cause, uint64_t tval) {
    uint64_t pc = hart_.pc;
    Privilege from = hart_.privilege;
    isa::riscv::take_trap(hart_, cause, tval);
    (cause & isa::riscv::cause::kInterrupt) != 0 ? counts_.interrupts++ : counts_.exceptions++;
    refresh_context();
    if (trace_ != nullptr) [[unlikely]]
        trace_trap({cause, pc, tval, from, retired_at_slice_end_ - static_cast<uint64_t>(budget_)});
}

void Runner::execute(int64_t slice) {
    // A guest whose trap handler faults at once retires nothing: leave now and then all the same.
    constexpr unsigned kMaxMisses = 1 << 12;
    if (native_ != nullptr) native_->begin();
    if (supervisor_is_local_ && (data_is_shared_ || fetch_is_shared_)) refresh_context();
    budget_ = slice;
    retired_at_slice_end_ = hart_.retired + static_cast<uint64_t>(slice);
    for (unsigned misses = 0; misses < kMaxMisses && budget_ > 0 && !must_leave(); misses++) {
        if (native_ != nullptr && run_native()) continue;
        if (const Op* op = find_block()) run_ops(op);
    }
    hart_.retired = retired_at_slice_end_ - static_cast<uint64_t>(budget_);
}

void Runner::execute_single() {
    budget_ = 1;
    retired_at_slice_end_ = hart_.retired + 1;
    if (points_ != nullptr && stops_at_breakpoint()) return;
    if (const Op* op = find_single()) run_ops(op);
    hart_.retired = retired_at_slice_end_ - static_cast<uint64_t>(budget_);
}

void Runner::run_ops(const Op* op) {
    while (op != nullptr) op = op->handler(hart_, op, *this);
}

// ---- Leaving instructions

void Runner::trap(const Op* op, uint64_t cause, uint64_t tval) {
    hart_.pc = pc_of(op);
    budget_ += block_->count - index_of(op);
    enter_trap(cause, tval);
}

void Runner::illegal(const Op* op) {
    const uint8_t* code = block_->code() + 2 * size_t{op->operands.position};
    uint32_t instruction = load_le<uint16_t>(code);
    if (isa::riscv::length_of(instruction) == 4) instruction |= uint32_t{load_le<uint16_t>(code + 2)} << 16;
    trap(op, isa::riscv::cause::kIllegalInstruction, instruction);
}

bool Runner::before_system(const Op* op) {
    if (points_ != nullptr && watched_system(op)) [[unlikely]]
        return false;
    hart_.pc = pc_of(op);
    uint64_t not_yet = block_->count - index_of(op);
    hart_.retired = retired_at_slice_end_ - static_cast<uint64_t>(budget_) - not_yet;
    return true;
}

void Runner::leave_by(const Op* op, const SystemResult& result) {
    switch (result.outcome) {
        case SystemResult::Outcome::kIllegal:
            return illegal(op);
        case SystemResult::Outcome::kTrap:
            return trap(op, result.value, result.tval);
        case SystemResult::Outcome::kWait:
            hart_.pc = pc_of(op + 1);
            waiting_ = true;
            return;
        case SystemResult::Outcome::kFirmwareCall:
            budget_ += block_->count - index_of(op);
            calling_firmware_ = true;
            return;
        case SystemResult::Outcome::kJump:
        case SystemResult::Outcome::kNext:
            return;
    }
}

// ---- Fetching

const Op* Runner::find_block() {
    const FetchEntry* page = fetch_page(hart_.pc);
    if (page == nullptr) return nullptr;
    if (page->stops && stops_at_breakpoint()) [[unlikely]]
        return nullptr;
    Block* block = page->whole && !page->stops ? cached_block(*page) : nullptr;
    if (block == nullptr) return find_single();
    if (native_ == nullptr) {
        fetched_pages_.add(hart_.pc >> 12);
        jumps_[(hart_.pc >> 1) & (kJumpEntries - 1)] = {hart_.pc, block, fetch_context_};
    } else if (becomes_hot(block->physical)) {
        translate(place_in(*page));
    }
    budget_ -= block->count;
    block_ = block;
    block_pc_ = hart_.pc;
    return block->ops();
}

Block* Runner::cached_block(const FetchEntry& page) {
    uint64_t offset = hart_.pc & ~kPageMask;
    uint64_t physical = page.physical + offset;
    const uint8_t* code = page.host + offset;
    Block* block = blocks_.find(physical);
    if (block != nullptr && block->verified != fence_number_) {
        if (std::memcmp(block->code(), code, block->bytes) != 0) {
            blocks_.remove(block);
            block = nullptr;
        } else {
            block->verified = fence_number_;
        }
    }
    if (block == nullptr) {
        bool dropped = false;
        block = blocks_.build(physical, code, isa::riscv::kPageBytes - offset, dropped);
        if (dropped && native_ == nullptr) drop_jumps();  // others do not lead to blocks
        if (block != nullptr) block->verified = fence_number_;
    }
    return block;
}

const Op* Runner::find_single() {
    uint32_t instruction = 0, upper = 0;
    if (!fetch_half(hart_.pc, instruction)) return nullptr;
    if (isa::riscv::length_of(instruction) == 4) {
        if (!fetch_half(hart_.pc + 2, upper)) return nullptr;
        instruction |= upper << 16;
    }
    BlockCache::build_single(single_, instruction);
    budget_ -= 1;
    block_ = &single_.block;
    block_pc_ = hart_.pc;
    if (traces_instructions_) [[unlikely]]
        trace_->instruction(hart_, instruction);
    return block_->ops();
}

const Runner::FetchEntry* Runner::fetch_page(uint64_t va) {
    FetchEntry& entry = fetch_tlb_[(va >> 12) & (kFetchEntries - 1)];
    uint64_t tag = (va & kPageMask) | fetch_space_;
    if (entry.tag == tag && entry.privilege == hart_.privilege) return &entry;

    auto fault = [&](uint64_t cause) {
        enter_trap(cause, va);
        return nullptr;
    };
    constexpr unsigned kHalf = 2;
    Translation found = isa::riscv::translate(hart_, memory_, va, kHalf, Access::kFetch, isa::riscv::fetch_mode(hart_));
    if (!found.ok) return fault(found.cause);
    uint64_t page = found.physical & kPageMask;
    const memory::Region* region = memory_.find_code(page, isa::riscv::kPageBytes);
    if (region == nullptr) return fault(isa::riscv::cause::kFetchAccess);
    note_large_page(va, found.span);
    counts_.fetch_tlb_fills++;
    // A page that is not kept is never found again: its tag matches nothing.
    bool whole = may_keep(found, fetch_is_shared_) && isa::riscv::pmp_uniform(hart_, page);
    bool stops = points_ != nullptr && points_->breaks_in_page(va);
    entry = {whole ? tag : 0, hart_.privilege, whole, stops, page, region->host + (page - region->base)};
    return &entry;
}

bool Runner::fetch_half(uint64_t va, uint32_t& half) {
    const FetchEntry* page = fetch_page(va);
    if (page == nullptr) return false;
    half = load_le<uint16_t>(page->host + (va & ~kPageMask));
    return true;
}

// ---- Contexts and fences

void Runner::context_changed() {
    refresh_context();
    // An interrupt that was pending may have been enabled: look before the next block.
    uint64_t pending =
        pending_seen_ | hart_.lines.load(std::memory_order_relaxed) | hart_.pending.load(std::memory_order_relaxed);
    if (isa::riscv::interrupt_to_take(hart_, pending)) notify();
}

// Whoever spins for long may spin for a hart whose thread waits for this one's processor.
void Runner::pause() {
    constexpr unsigned kPatience = 32;
    if (++pauses_ % kPatience == 0) std::this_thread::yield();
}

void Runner::refresh_context() {
    isa::riscv::AccessMode mode = isa::riscv::data_mode(hart_);
    if (hart_.translation_version != translation_version_) {
        translation_version_ = hart_.translation_version;
        fence_number_++;  // after a restore, decoded blocks are not memory's either
        if (native_ != nullptr) native_->fence_instructions();
        clear_caches();
    }
    if (std::exchange(mxr_, mode.mxr) != mode.mxr) clear_caches();
    bool overflowed = false;
    auto space_of = [&](bool is_shared, Privilege privilege) {
        if (is_shared) return spaces_.number_of_all(overflowed);
        return spaces_.number_of(privilege == Privilege::kMachine ? 0 : hart_.csr.satp, overflowed);
    };
    bool shares = hart_.csr.satp >> 60 != 0 && !supervisor_is_local_;  // not Bare
    fetch_is_shared_ = shares && hart_.privilege == Privilege::kSupervisor;
    data_is_shared_ = shares && mode.privilege == Privilege::kSupervisor && !mode.sum;
    data_space_ = space_of(data_is_shared_, mode.privilege);
    fetch_space_ = space_of(fetch_is_shared_, hart_.privilege);
    if (overflowed) {
        clear_caches();
        data_space_ = space_of(data_is_shared_, mode.privilege);
        fetch_space_ = space_of(fetch_is_shared_, hart_.privilege);
    }
    data_mode_ = mode;
    data_tlb_mode_ = mode.privilege == Privilege::kUser         ? 0
                     : mode.privilege == Privilege::kSupervisor ? (mode.sum ? 2 : 1)
                                                                : 3;
    data_tlb_ = &data_tlbs_.select(data_space_, data_tlb_mode_);
    constexpr unsigned kEpochShift = 14;
    uint32_t fetches = fetch_space_ << 2 | static_cast<uint32_t>(hart_.privilege);
    fetch_context_ = jump_epoch_ << kEpochShift | fetches;
    if (native_ != nullptr) native_->context_changed(fetches);
}

void Runner::drop_translations(const uint64_t* address, const uint64_t* asid) {
    counts_.translation_fences++;
    if (address == nullptr) {
        if (asid == nullptr) return drop_all_translations();
        spaces_.forget(*asid);
        return refresh_context();
    }
    constexpr uint64_t kGiantKey = uint64_t{1} << 60;
    bool large =
        vast_pages_ || large_pages_.may_contain(*address >> 21) || large_pages_.may_contain(*address >> 30 | kGiantKey);
    if (large) return drop_all_translations();
    drop_page(*address);
}

void Runner::note_large_page(uint64_t va, uint64_t span) {
    if (span <= isa::riscv::kPageBytes) return;
    constexpr uint64_t kGiantKey = uint64_t{1} << 60;
    if (span <= uint64_t{1} << 21) {
        large_pages_.add(va >> 21);
    } else if (span <= uint64_t{1} << 30) {
        large_pages_.add(va >> 30 | kGiantKey);
    } else {
        vast_pages_ = true;
    }
}

void Runner::drop_page(uint64_t va) {
    data_tlbs_.drop_page(va);
    FetchEntry& entry = fetch_tlb_[(va >> 12) & (kFetchEntries - 1)];
    if ((entry.tag & kPageMask) == (va & kPageMask)) entry = {};
    if (native_ != nullptr) return native_->drop_jumps_to(va & kPageMask);  // its jumps are the only ones
    if (fetched_pages_.may_contain(va >> 12)) drop_jumps();
}

void Runner::drop_all_translations() {
    // Entries of forgotten spaces stay behind and match nothing.
    spaces_.forget_all();
    large_pages_.clear();
    vast_pages_ = false;
    fetched_pages_.clear();
    refresh_context();
}

void Runner::drop_jumps() {
    constexpr uint32_t kEpochs = 1 << 18;
    fetched_pages_.clear();
    if (native_ != nullptr) native_->drop_jumps();
    if (++jump_epoch_ == kEpochs) {
        jump_epoch_ = 0;
        jumps_.fill({});
    }
    refresh_context();
}

void Runner::clear_caches() {
    data_tlbs_.clear();
    fetch_tlb_.fill({});
    jumps_.fill({});
    large_pages_.clear();
    vast_pages_ = false;
    fetched_pages_.clear();
    if (native_ != nullptr) native_->drop_jumps();
}

void Runner::drop_instructions() {
    counts_.instruction_fences++;
    fence_number_++;
    if (native_ != nullptr) return native_->fence_instructions();  // its jumps are the only ones
    drop_jumps();
}

}  // namespace doppel::cpu::interpret
