#include "cpu/translate/tier.h"

#include <algorithm>
#include <utility>

#include "cpu/translate/helpers.h"

namespace doppel::cpu::translate {

using doppel::translate::x86::Exit;
using doppel::translate::x86::far_jump_slot_of;
using doppel::translate::x86::jump_slot_of;
using doppel::translate::x86::JumpSlot;
using interpret::CodePlace;
using interpret::kPageMask;

void JumpTables::select(uint64_t key) {
    Table* chosen = &tables_.front();
    for (Table& table : tables_) {
        if (table.key == key && table.epoch == epoch_) {
            table.used = ++now_;
            selected_ = &table;
            return;
        }
        if (table.used < chosen->used) chosen = &table;
    }
    chosen->key = key;
    chosen->epoch = epoch_;
    chosen->used = ++now_;
    chosen->slots.fill({});
    selected_ = chosen;
}

const void* JumpTables::find(uint64_t pc) {
    JumpSlot& slot = selected_->slots[jump_slot_of(pc)];
    if (slot.pc == pc) return slot.code;
    const FarSlot& found = far_[far_index(pc)];
    if (found.pc != pc || found.key != far_key()) return nullptr;
    slot = {pc, found.code};
    return found.code;
}

void JumpTables::add(uint64_t pc, const void* code) {
    if (!techniques_.jump_table) return;
    selected_->slots[jump_slot_of(pc)] = {pc, code};
    unsigned far = far_index(pc);
    if (techniques_.lost_jumps) far_[far] = {pc, far_key(), code};
    pages_[pc & kPageMask].push_back({pc, far});
    added_++;
}

void JumpTables::tie(uint64_t pc, uint64_t page) {
    if (!techniques_.jump_table) return;
    pages_[page].push_back({pc, far_index(pc)});
    added_++;
}

void JumpTables::clear() {
    epoch_++;
    pages_.clear();
    added_ = 0;
}

void JumpTables::drop_page(uint64_t page) {
    auto found = pages_.find(page);
    if (found == pages_.end()) return;
    for (const Added& each : found->second) {
        if (far_[each.far].pc == each.pc) far_[each.far] = {};
        for (Table& table : tables_) {
            JumpSlot& slot = table.slots[jump_slot_of(each.pc)];
            if (slot.pc == each.pc) slot = {};
        }
    }
    added_ -= found->second.size();
    pages_.erase(found);
}

namespace {

uint8_t guest_flags(uint32_t mxcsr) {
    namespace fp = isa::fp;
    return static_cast<uint8_t>((mxcsr >> 5 & fp::kInexact) | (mxcsr >> 3 & fp::kUnderflow) |
                                (mxcsr >> 1 & fp::kOverflow) | (mxcsr << 1 & fp::kDivideByZero) |
                                (mxcsr << 4 & fp::kInvalid));
}

const void* fill_for(void* engine, uint64_t* registers, const uint8_t* note) {
    return static_cast<Tier*>(engine)->fill(registers, note);
}

}  // namespace

Tier::Tier(const VcpuParts& parts, std::shared_ptr<CodeCache> cache, interpret::NativeHost& host)
    : hart_(parts.hart),
      memory_(parts.memory),
      cache_(std::move(cache)),
      host_(host),
      trace_(parts.trace),
      state_(*new (hart_.engine_state.data()) NativeState),
      enter_(reinterpret_cast<doppel::translate::x86::EnterFunction>(
          reinterpret_cast<uintptr_t>(cache_->thunk_base() + cache_->thunks().enter))),
      tables_(cache_->techniques()) {
    connect(state_, cache_->thunks(), cache_->thunk_base());
    state_.anchor = reinterpret_cast<uint64_t>(&helper_anchor);
    state_.engine = this;
    state_.fill_function = &fill_for;
    cache_->join(participant_);
    generation_ = cache_->generation();
    constexpr uint32_t kHostFlags = 0x40;
    for (uint32_t status = 0; status < kHostFlags; status++) state_.flags_of_mxcsr[status] = guest_flags(status);
    select_jumps();
}

Tier::~Tier() {
    cache_->leave(participant_);
}

CodeMode Tier::mode() const {
    return {hart_.float_enabled(), hart_.csr.frm};
}

void Tier::select_jumps() {
    tables_.select(uint64_t{context_} << 8 | mode_.number());
    state_.jumps = tables_.data();
    state_.far_jumps = tables_.far_data();
    state_.jump_key = tables_.far_key();
}

void Tier::context_changed(uint32_t context) {
    CodeMode now = mode();
    state_.zeroes_blocks = isa::riscv::zeroes_cache_blocks(hart_) ? 1 : 0;
    if (context == context_ && now == mode_) return;
    changed_ = true;
    context_ = context;
    mode_ = now;
    probe_.end();
    site_ = nullptr;
    select_jumps();
}

void Tier::drop_jumps() {
    tables_.clear();
    site_ = nullptr;
    changed_ = true;
    select_jumps();
}

void Tier::drop_jumps_to(uint64_t page) {
    if (!cache_->techniques().page_fences) return drop_jumps();
    tables_.drop_page(page);
    state_.forget_returns(page);
    site_ = nullptr;
    changed_ = changed_ || page == state_.page;
}

void Tier::fence_instructions() {
    settle();
    if (uint64_t drops = cache_->compare_written(); drops != drops_) {
        drops_ = drops;
        forget_code();
    }
}

void Tier::forget_code() {
    std::fill(known_.begin(), known_.end(), Known{});
    probe_.forget();
    drop_jumps();
}

void Tier::begin() {
    participant_.executing.store(true);
    settle();
}

void Tier::end() {
    participant_.executing.store(false);
}

void Tier::settle() {
    uint64_t pages = cache_->code_pages();
    if (pages == participant_.seen.load(std::memory_order_relaxed)) return;
    host_.drop_code_writes();
    participant_.seen.store(pages);
}

void Tier::note_code_write(uint64_t physical) {
    cache_->note_write(physical);
}

void Tier::translate(const CodePlace& place) {
    TracedTranslation traced;
    if (place.other_half != nullptr) {
        if (auto straddle = straddle_of(place)) cache_->translate(*straddle, mode_, tells() ? &traced : nullptr);
        if (!traced.blocks.empty()) tell(traced, place);
        return;
    }
    const memory::Region* region = memory_.find(place.physical & kPageMask, isa::riscv::kPageBytes);
    if (region == nullptr) return;
    const void* code = cache_->translate(*region, place.physical, mode_, tells() ? &traced : nullptr);
    known(place.physical) = {key_of(place.physical), code};
    if (!traced.blocks.empty()) tell(traced, place);
}

// Where the budget runs out is where time is spent.
void Tier::sample(const CodePlace& place) {
    if (!cache_->techniques().loops) return;
    const auto loop = probe_.note(place.physical, key_of(place.physical));
    const memory::Region* region = loop ? memory_.find(loop->physical, 1) : nullptr;
    if (region == nullptr) return;
    TracedTranslation traced;
    cache_->translate_loop({region, loop->physical, mode_, loop->visited}, tells() ? &traced : nullptr);
    if (!traced.blocks.empty()) tell(traced, place);
}

void Tier::tell(TracedTranslation& traced, const CodePlace& place) const {
    for (auto& block : traced.blocks) block.pc += place.pc - place.physical;
    trace_->translation(hart_, traced);
}

const void* Tier::code_at(const CodePlace& place) {
    if (uint64_t generation = cache_->generation(); generation != generation_) {
        generation_ = generation;
        forget_code();
    }
    if (const void* code = tables_.find(place.pc)) return code;
    if (place.other_half != nullptr) return straddling_code_at(place);
    Known& last = known(place.physical);
    if (last.key != key_of(place.physical)) last = {key_of(place.physical), find_or_load(place)};
    const void* code = last.code;
    if (code == nullptr) return nullptr;
    if (tables_.is_full()) drop_jumps();
    tables_.add(place.pc, code);
    return code;
}

std::optional<Straddle> Tier::straddle_of(const CodePlace& place) const {
    const memory::Region* region = memory_.find(place.physical, 1);
    const memory::Region* other = memory_.find(place.other_physical, 1);
    if (region == nullptr || other == nullptr) return std::nullopt;
    return Straddle{region, place.physical, other, place.other_physical};
}

const void* Tier::straddling_code_at(const CodePlace& place) {
    const auto straddle = straddle_of(place);
    const void* code = straddle ? cache_->find(*straddle, mode_) : nullptr;
    if (code == nullptr) return nullptr;
    if (tables_.is_full()) drop_jumps();
    tables_.add(place.pc, code);
    tables_.tie(place.pc, (place.pc & kPageMask) + isa::riscv::kPageBytes);
    return code;
}

const void* Tier::find_or_load(const CodePlace& place) {
    const memory::Region* region = nullptr;
    if (cache_->has_stored()) region = memory_.find(place.physical & kPageMask, isa::riscv::kPageBytes);
    if (region == nullptr) return cache_->find(place.physical, mode_);
    TracedTranslation traced;
    const void* code = cache_->load(*region, place.physical, mode_, tells() ? &traced : nullptr);
    if (!traced.blocks.empty()) tell(traced, place);
    return code;
}

interpret::NativeTier::Next Tier::run(const CodePlace& place, interpret::SoftTlb& tlb, int64_t& budget) {
    uint8_t* site = std::exchange(site_, nullptr);
    if (std::exchange(sampled_, false)) sample(place);
    if (!cache_->enter(participant_)) return Next::kInterpretBlock;
    uint64_t generation = generation_;
    const void* code = code_at(place);
    if (code == nullptr) {
        cache_->exit(participant_);
        return Next::kInterpretBlock;
    }
    // After a flush other code stands where the jump was.
    if (generation != generation_) site = nullptr;
    if (site != nullptr && site_target_ == place.pc) cache_->link(site, place.physical, mode_);
    state_.page = place.pc & kPageMask;
    const int64_t given = probe_.limit(budget);
    kept_ = budget - given;
    state_.budget = given;
    show_tlb(tlb);
    auto reason = static_cast<Exit>(enter_(state_of(hart_), code));
    cache_->exit(participant_);
    state_.last_return = nullptr;
    accrue_flags();
    bool ran = state_.budget != given;
    int64_t before = budget;
    budget = state_.budget + kept_;
    if (reason != Exit::kBudget) probe_.end();
    Next next = leave(reason);
    if (reason == Exit::kAccess || reason == Exit::kInterpret) budget += state_.not_executed();
    instructions_ += static_cast<uint64_t>(before - budget);
    exits_[static_cast<size_t>(reason)]++;
    return reason == Exit::kBudget && !ran ? Next::kInterpretBlock : next;
}

void Tier::show_tlb(interpret::SoftTlb& tlb) {
    tlb_ = &tlb;
    state_.tlb = tlb.data();
    state_.tlb_mask = (tlb.size() - 1) * sizeof(interpret::TlbEntry);
}

const void* Tier::fill(uint64_t* registers, const uint8_t* note) {
    return state_.fill_page(registers, note,
                            [this](uint64_t address, const doppel::translate::x86::FillNote& asks, uint64_t& addend) {
                                bool filled = host_.fill(address, asks.bytes, asks.writes);
                                show_tlb(*tlb_);
                                if (filled) addend = tlb_->slot(address).offset;
                                return filled;
                            });
}

uint64_t Tier::execute(SystemFunction function, const uint64_t* arguments) {
    state_.refused = 1;
    auto context = host_.begin_system(state_.pc(), state_.budget + kept_ + state_.not_executed());
    if (!context) return 0;
    accrue_flags();
    changed_ = false;
    isa::riscv::SystemResult result = function(*context, arguments);
    // What does not go on behind the instruction has done nothing yet.
    if (result.outcome != isa::riscv::SystemResult::Outcome::kNext) return 0;
    state_.refused = 0;
    interpret::SoftTlb* tlb = host_.goes_on_with();
    state_.leaves = changed_ || tlb == nullptr ? 1 : 0;
    if (tlb != nullptr) show_tlb(*tlb);
    return result.value;
}

uint64_t execute_system(void* state, SystemFunction function, const uint64_t* arguments) {
    return static_cast<Tier*>(native_state_of(hart_of(state)).engine)->execute(function, arguments);
}

interpret::NativeTier::Next Tier::leave(Exit reason) {
    switch (reason) {
        case Exit::kLookup:
            hart_.pc = state_.target;
            return Next::kGoOn;
        case Exit::kLink:
            hart_.pc = state_.pc();
            site_ = state_.site;
            site_target_ = hart_.pc;
            return Next::kGoOn;
        case Exit::kBudget:
            hart_.pc = state_.pc();
            sampled_ = true;
            return Next::kGoOn;
        case Exit::kResume:
            hart_.pc = state_.pc();
            return Next::kGoOn;
        case Exit::kInterpret:
            hart_.pc = state_.pc();
            return Next::kInterpretBlock;
        case Exit::kAccess:
            break;
    }
    hart_.pc = state_.pc();
    return Next::kInterpretOne;
}

void Tier::add_statistics(Statistics& statistics) const {
    constexpr std::array<std::string_view, doppel::translate::x86::kExits> kNames{
        "exits_budget", "exits_lookup", "exits_link", "exits_interpret", "exits_access", "exits_resume"};
    for (size_t i = 0; i < kNames.size(); i++) statistics.add(kNames[i], exits_[i]);
}

// The host's sticky flags since the last time become the guest's.
void Tier::accrue_flags() {
    constexpr uint32_t kFlags = 0x3f;  // invalid, denormal, zero divide, overflow, underflow, inexact
    uint32_t status = state_.guest_mxcsr & kFlags;
    if (status == 0) return;
    state_.guest_mxcsr &= ~kFlags;
    detail::accrue(hart_, hart_.csr.fflags | isa::fp::Flags{guest_flags(status)});
}

}  // namespace doppel::cpu::translate
