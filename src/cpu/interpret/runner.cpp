#include "cpu/interpret/runner.h"

#include <algorithm>
#include <cstring>
#include <optional>
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
    : hart_(parts.hart), memory_(parts.memory), bus_(parts.bus), environment_(parts.environment) {
    attention_.store(true);
}

ExitReason Runner::run(uint64_t budget) {
    executing_.store(true);
    hart_.pc &= ~uint64_t{1};  // IALIGN is 16; whoever set it outside may not know
    refresh_context();
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
        if (budget > kMaxBlockOps) {
            execute(static_cast<int64_t>(std::min<uint64_t>(kSlice, budget - kMaxBlockOps)));
        } else {
            execute_single();
        }
        std::optional<ExitReason> stopped;
        if (debug_event_ != DebugEvent::kNone) [[unlikely]]
            stopped = serve_debug_event();
        budget -= hart_.retired - before;
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
    }
    executing_.store(false);
    return reason;
}

bool Runner::serve_requests() {
    uint32_t requests = take_requests();
    if (requests & kTranslationFence) drop_all_translations();
    if (requests & kInstructionFence) drop_instructions();
    return (requests & kExit) != 0;
}

void Runner::take_interrupt() {
    pending_seen_ = isa::riscv::interrupts_pending(hart_, environment_);
    if (auto number = isa::riscv::interrupt_to_take(hart_, pending_seen_)) {
        isa::riscv::take_trap(hart_, isa::riscv::cause::kInterrupt | *number, 0);
        refresh_context();
    }
}

void Runner::execute(int64_t slice) {
    // A guest whose trap handler faults at once retires nothing: leave now and then all the same.
    constexpr unsigned kMaxMisses = 1 << 12;
    budget_ = slice;
    retired_at_slice_end_ = hart_.retired + static_cast<uint64_t>(slice);
    for (unsigned misses = 0; misses < kMaxMisses && budget_ > 0 && !must_leave(); misses++) {
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
    isa::riscv::take_trap(hart_, cause, tval);
    refresh_context();
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
    jumps_[(hart_.pc >> 1) & (kJumpEntries - 1)] = {hart_.pc, block, fetch_context_};
    fetched_pages_.add(hart_.pc >> 12);
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
        if (dropped) drop_jumps();
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
    return block_->ops();
}

const Runner::FetchEntry* Runner::fetch_page(uint64_t va) {
    FetchEntry& entry = fetch_tlb_[(va >> 12) & (kFetchEntries - 1)];
    uint64_t tag = (va & kPageMask) | fetch_space_;
    if (entry.tag == tag && entry.privilege == hart_.privilege) return &entry;

    auto fault = [&](uint64_t cause) {
        isa::riscv::take_trap(hart_, cause, va);
        refresh_context();
        return nullptr;
    };
    constexpr unsigned kHalf = 2;
    Translation found = isa::riscv::translate(hart_, memory_, va, kHalf, Access::kFetch, isa::riscv::fetch_mode(hart_));
    if (!found.ok) return fault(found.cause);
    uint64_t page = found.physical & kPageMask;
    const memory::Region* region = memory_.find_code(page, isa::riscv::kPageBytes);
    if (region == nullptr) return fault(isa::riscv::cause::kFetchAccess);
    note_large_page(va, found.span);
    bool whole = isa::riscv::pmp_uniform(hart_, page);
    // A split page is never found again: its tag matches nothing.
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

// ---- Data

Translation Runner::translate_data(uint64_t va, unsigned bytes, Access access) {
    Translation found = isa::riscv::translate(hart_, memory_, va, bytes, access, data_mode_);
    if (!found.ok) return found;
    uint64_t page = found.physical & kPageMask;
    const memory::Region* region = memory_.find(page, isa::riscv::kPageBytes);
    if (region == nullptr) return found;
    if (access == Access::kStore) {
        if (!region->writable) return Translation::fault(isa::riscv::cause::kStoreAccess);
        memory::GuestMemory::mark_dirty(*region, page, 1);
    }
    if (!isa::riscv::pmp_uniform(hart_, page)) return found;
    if (points_ != nullptr && points_->watches_page(va)) [[unlikely]]
        return found;
    note_large_page(va, found.span);
    TlbEntry& entry = data_tlb_->slot(va);
    uint64_t tag = (va & kPageMask) | data_space_;
    uint64_t offset = reinterpret_cast<uint64_t>(region->host + (page - region->base)) - (va & kPageMask);
    // The guest may have changed the mapping without a fence yet: what the old one permitted does not hold for the new.
    if (entry.read_tag != tag || entry.offset != offset) entry.read_tag = 0;
    if (entry.write_tag != tag || entry.offset != offset) entry.write_tag = 0;
    entry.offset = offset;
    (access == Access::kStore ? entry.write_tag : entry.read_tag) = tag;
    return found;
}

namespace {

// Naturally aligned ones are single accesses, as other harts may look on.
std::optional<uint64_t> read_memory(const memory::GuestMemory& memory, uint64_t physical, unsigned bytes) {
    switch (bytes) {
        case 1:
            return memory.load<uint8_t>(physical);
        case 2:
            return memory.load<uint16_t>(physical);
        case 4:
            return memory.load<uint32_t>(physical);
        default:
            return memory.load<uint64_t>(physical);
    }
}

bool write_memory(memory::GuestMemory& memory, uint64_t physical, unsigned bytes, uint64_t value) {
    switch (bytes) {
        case 1:
            return memory.store(physical, static_cast<uint8_t>(value));
        case 2:
            return memory.store(physical, static_cast<uint16_t>(value));
        case 4:
            return memory.store(physical, static_cast<uint32_t>(value));
        default:
            return memory.store(physical, value);
    }
}

// Where the second page begins for an access that crosses into it.
uint64_t second_page(uint64_t va, unsigned bytes) {
    return (va + bytes - 1) & kPageMask;
}

bool crosses_page(uint64_t va, unsigned bytes) {
    return ((va ^ (va + bytes - 1)) & kPageMask) != 0;
}

}  // namespace

bool Runner::load_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    if (watched(op, va, bytes, Access::kLoad)) [[unlikely]]
        return false;
    if (crosses_page(va, bytes)) return load_crossing(op, va, bytes, value);
    Translation found = translate_data(va, bytes, Access::kLoad);
    if (!found.ok) return trap(op, found.cause, va), false;
    auto answer = read_memory(memory_, found.physical, bytes);
    if (!answer) answer = bus_.read(found.physical, bytes);
    if (!answer) return trap(op, isa::riscv::cause::kLoadAccess, va), false;
    value = *answer;
    return true;
}

bool Runner::load_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t& value) {
    uint64_t second = second_page(va, bytes);
    size_t first_bytes = second - va;
    uint8_t raw[8] = {};
    const uint8_t* host = memory_part(op, va, static_cast<unsigned>(first_bytes), Access::kLoad);
    if (host == nullptr) return false;
    std::memcpy(raw, host, first_bytes);
    host = memory_part(op, second, static_cast<unsigned>(bytes - first_bytes), Access::kLoad);
    if (host == nullptr) return false;
    std::memcpy(raw + first_bytes, host, bytes - first_bytes);
    value = load_le<uint64_t>(raw);
    return true;
}

bool Runner::store_slow(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    if (watched(op, va, bytes, Access::kStore)) [[unlikely]]
        return false;
    if (crosses_page(va, bytes)) return store_crossing(op, va, bytes, value);
    Translation found = translate_data(va, bytes, Access::kStore);
    if (!found.ok) return trap(op, found.cause, va), false;
    if (write_memory(memory_, found.physical, bytes, value)) return true;
    uint64_t narrowed = bytes == 8 ? value : value & ((uint64_t{1} << (8 * bytes)) - 1);
    if (bus_.write(found.physical, bytes, narrowed)) return true;
    return trap(op, isa::riscv::cause::kStoreAccess, va), false;
}

bool Runner::store_crossing(const Op* op, uint64_t va, unsigned bytes, uint64_t value) {
    // Both pages are checked before a byte is written.
    uint64_t second = second_page(va, bytes);
    size_t first_bytes = second - va;
    uint8_t* first_host = memory_part(op, va, static_cast<unsigned>(first_bytes), Access::kStore);
    if (first_host == nullptr) return false;
    uint8_t* second_host = memory_part(op, second, static_cast<unsigned>(bytes - first_bytes), Access::kStore);
    if (second_host == nullptr) return false;
    uint8_t raw[8];
    store_le<uint64_t>(raw, value);
    std::memcpy(first_host, raw, first_bytes);
    std::memcpy(second_host, raw + first_bytes, bytes - first_bytes);
    return true;
}

uint8_t* Runner::memory_part(const Op* op, uint64_t va, unsigned bytes, Access access) {
    Translation found = translate_data(va, bytes, access);
    const memory::Region* region = !found.ok                 ? nullptr
                                   : access == Access::kLoad ? memory_.find_readable(found.physical, bytes)
                                                             : memory_.find(found.physical, bytes);
    if (region == nullptr) {
        trap(op, found.ok ? isa::riscv::access_fault(access) : found.cause, va);
        return nullptr;
    }
    return region->host + (found.physical - region->base);
}

uint8_t* Runner::atomic_slow(const Op* op, uint64_t va, unsigned bytes, Access access) {
    if (va % bytes != 0) {
        trap(op, access == Access::kLoad ? isa::riscv::cause::kLoadMisaligned : isa::riscv::cause::kStoreMisaligned,
             va);
        return nullptr;
    }
    bool modifies = access == Access::kStore;
    if (watched(op, va, bytes, access) || (modifies && watched(op, va, bytes, Access::kLoad))) [[unlikely]]
        return nullptr;
    return memory_part(op, va, bytes, access);
}

// ---- Contexts and fences

void Runner::context_changed() {
    refresh_context();
    // An interrupt that was pending may have been enabled: look before the next block.
    uint64_t pending =
        pending_seen_ | hart_.lines.load(std::memory_order_relaxed) | hart_.pending.load(std::memory_order_relaxed);
    if (isa::riscv::interrupt_to_take(hart_, pending)) notify();
}

void Runner::refresh_context() {
    isa::riscv::AccessMode mode = isa::riscv::data_mode(hart_);
    if (hart_.translation_version != translation_version_) {
        translation_version_ = hart_.translation_version;
        fence_number_++;  // after a restore, decoded blocks are not memory's either
        clear_caches();
    }
    if (std::exchange(mxr_, mode.mxr) != mode.mxr) clear_caches();
    bool overflowed = false;
    auto space_of = [&](Privilege privilege) {
        return spaces_.number_of(privilege == Privilege::kMachine ? 0 : hart_.csr.satp, overflowed);
    };
    data_space_ = space_of(mode.privilege);
    fetch_space_ = space_of(hart_.privilege);
    if (overflowed) {
        clear_caches();
        data_space_ = space_of(mode.privilege);
        fetch_space_ = space_of(hart_.privilege);
    }
    data_mode_ = mode;
    unsigned index = mode.privilege == Privilege::kUser         ? 0
                     : mode.privilege == Privilege::kSupervisor ? (mode.sum ? 2 : 1)
                                                                : 3;
    data_tlb_ = &data_tlbs_[index];
    constexpr unsigned kEpochShift = 14;
    fetch_context_ = jump_epoch_ << kEpochShift | fetch_space_ << 2 | static_cast<uint32_t>(hart_.privilege);
}

void Runner::drop_translations(const uint64_t* address, const uint64_t* asid) {
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
    for (SoftTlb& tlb : data_tlbs_) tlb.drop_page(va);
    FetchEntry& entry = fetch_tlb_[(va >> 12) & (kFetchEntries - 1)];
    if ((entry.tag & kPageMask) == (va & kPageMask)) entry = {};
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
    if (++jump_epoch_ == kEpochs) {
        jump_epoch_ = 0;
        jumps_.fill({});
    }
    refresh_context();
}

void Runner::clear_caches() {
    for (SoftTlb& tlb : data_tlbs_) tlb.clear();
    fetch_tlb_.fill({});
    jumps_.fill({});
    large_pages_.clear();
    vast_pages_ = false;
    fetched_pages_.clear();
}

void Runner::drop_instructions() {
    fence_number_++;
    drop_jumps();
}

}  // namespace doppel::cpu::interpret
