// The interpreter's side of a native tier: when translated code runs, and what it asks for.
#include <utility>

#include "base/byte_order.h"
#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {

using isa::riscv::Access;

void Runner::set_native_tier(std::unique_ptr<NativeTier> tier, uint32_t hot, const TlbOptions& tlbs) {
    native_ = std::move(tier);
    if (tlbs.keeps_lost_entries) data_tlbs_.remember_lost();
    data_tlbs_.grow_up_to(tlbs.grows ? SoftTlb::kLargest : SoftTlb::kSmallest);
    if (!tlbs.keeps_spaces) spaces_.keep_one();
    supervisor_is_local_ = !tlbs.shares_supervisor;
    hot_ = hot;
    slice_ = kNativeSlice;
}

CodePlace Runner::place_in(const FetchEntry& page) const {
    uint64_t offset = hart_.pc & ~kPageMask;
    return {hart_.pc, page.physical + offset, page.host + offset};
}

void Runner::translate(const CodePlace& place) {
    hart_.retired = retired_at_slice_end_ - static_cast<uint64_t>(budget_);  // for a trace
    native_->translate(place);
}

bool Runner::run_native() {
    // A debugger's points are the interpreter's to find.
    if (points_ != nullptr) [[unlikely]]
        return false;
    const auto place = this->place();
    if (!place) return false;
    // What is in one page is counted when it is interpreted.
    if (hot_ == 0 || (place->other_half != nullptr && becomes_hot(place->physical))) translate(*place);
    switch (native_->run(*place, *data_tlb_, budget_)) {
        case NativeTier::Next::kGoOn:
            return true;
        case NativeTier::Next::kInterpretBlock:
            return budget_ <= 0;
        case NativeTier::Next::kInterpretOne:
            break;
        case NativeTier::Next::kFail:
            failed_ = true;
            return true;
    }
    if (const Op* op = find_single()) run_ops(op);
    return true;
}

bool Runner::fill(uint64_t va, unsigned bytes, bool writes) {
    if (((va ^ (va + bytes - 1)) & kPageMask) != 0) return false;
    uint64_t page = va & kPageMask;
    TlbEntry lost = data_tlbs_.lost_entry(data_space_, data_tlb_mode_, va);
    if ((writes ? lost.write_tag : lost.read_tag) == page) {
        data_tlb_->note_miss();
        data_tlb_->slot(va) = lost;
        return true;
    }
    // A fault is the instruction's, which is executed again for it.
    translate_data(va, bytes, writes ? Access::kStore : Access::kLoad);
    return (writes ? writable(va, bytes) : readable(va, bytes)) != nullptr;
}

void Runner::drop_code_writes() {
    data_tlbs_.drop_writes([this](uint64_t physical) {
        const memory::Region* region = memory_.find(physical, 1);
        return region == nullptr || memory::GuestMemory::holds_code(*region, physical);
    });
}

std::optional<isa::riscv::SystemContext> Runner::begin_system(uint64_t pc, int64_t left) {
    hart_.pc = pc;
    hart_.retired = retired_at_slice_end_ - static_cast<uint64_t>(left);
    return system_context();
}

std::optional<CodePlace> Runner::place() {
    const FetchEntry* page = fetch_page(hart_.pc);
    if (page == nullptr || !page->whole) return std::nullopt;
    CodePlace place = place_in(*page);
    const bool is_last = (hart_.pc & ~kPageMask) == ~kPageMask - 1;
    if (!is_last || isa::riscv::length_of(load_le<uint16_t>(place.code)) != 4) return place;
    const FetchEntry* next = fetch_page(hart_.pc + 2);
    if (next == nullptr || !next->whole) return std::nullopt;
    place.other_physical = next->physical;
    place.other_half = next->host;
    return place;
}

Interpreted Runner::interpret(uint64_t count, SoftTlb& tlb) {
    SoftTlb* own = std::exchange(data_tlb_, &tlb);
    const uint64_t fills = counts_.data_tlb_fills;
    const int64_t end = budget_ - static_cast<int64_t>(count);
    bool whole = true;
    while (whole && budget_ > end) {
        const int64_t before = budget_;
        const Op* op = find_block_within(budget_ - end);
        whole = op != nullptr;
        const int64_t taken = before - budget_;
        run_ops(op);
        whole = whole && before - budget_ == taken;  // a trap gives back what it leaves undone
    }
    if (data_tlb_ == &tlb) data_tlb_ = own;
    return {whole, counts_.data_tlb_fills != fills};
}

// The block at hart_.pc, or the instruction if the block has more than `most`; nullptr: a fault was taken instead.
const Op* Runner::find_block_within(int64_t most) {
    const FetchEntry* page = fetch_page(hart_.pc);
    if (page == nullptr) return nullptr;
    Block* block = page->whole ? cached_block(*page) : nullptr;
    if (block == nullptr || block->count > most) return find_single();
    budget_ -= block->count;
    block_ = block;
    block_pc_ = hart_.pc;
    return block->ops();
}

}  // namespace doppel::cpu::interpret
