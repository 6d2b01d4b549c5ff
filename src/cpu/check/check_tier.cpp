#include "cpu/check/check_tier.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/byte_order.h"
#include "base/log.h"

namespace doppel::cpu::check {

using interpret::CodePlace;
using interpret::Interpreted;
using interpret::kPageMask;

namespace {

// The most instructions of a chain: no block has more; and where the chain begins at a place that is visited often.
constexpr int64_t kChain = 64, kLongChain = 512;
// A place begins a chain once in so many visits, and once it was visited often, but for once in so many.
constexpr uint32_t kVisitsPerChain = 4, kOften = 64;

// Memory as it was before several comparisons.
class UndoLog {
  public:
    void add(const ShadowMemory& shadow) {
        shadow.each_writable([&](const ShadowMemory::Page& page) { entries_.push_back(page); });
    }
    void apply() {
        for (size_t i = entries_.size(); i-- > 0;) {
            std::memcpy(entries_[i].memory, entries_[i].before.data(), entries_[i].before.size());
        }
        entries_.clear();
    }

  private:
    std::vector<ShadowMemory::Page> entries_;
};

void compare_page(const ShadowMemory::Page& page, std::vector<MemoryDifference>& found) {
    constexpr size_t kWord = sizeof(uint64_t), kEnough = 32;
    if (std::memcmp(page.written.data(), page.memory, page.written.size()) == 0) return;
    for (size_t at = 0; at < page.written.size() && found.size() < kEnough; at += kWord) {
        auto interpreted = load_le<uint64_t>(page.memory + at);
        auto translated = load_le<uint64_t>(&page.written[at]);
        if (interpreted == translated) continue;
        found.push_back({page.physical + at, load_le<uint64_t>(&page.before[at]), interpreted, translated});
    }
}

}  // namespace

CheckTier::CheckTier(const VcpuParts& parts, std::shared_ptr<Comparison> comparison, NativeHost& host,
                     const MakeTier& make)
    : hart_(parts.hart), comparison_(std::move(comparison)), host_(host), tier_(make(*this)) {}

CheckTier::~CheckTier() {
    if (has_turn_) comparison_->turns.give_up();
}

void CheckTier::begin() {
    if (std::exchange(has_turn_, true)) {
        comparison_->turns.pass();
    } else {
        comparison_->turns.take();
    }
    tier_->begin();
}

void CheckTier::end() {
    tier_->end();
    if (std::exchange(has_turn_, false)) comparison_->turns.give_up();
}

CheckTier::Step& CheckTier::step_at(const CodePlace& place) {
    Step& step = steps_[(place.physical >> 1 ^ place.physical >> 15) & (kSteps - 1)];
    if (step.physical != place.physical) step = {.physical = place.physical};
    return step;
}

void CheckTier::run_translated(const CodePlace& place, int64_t limit) {
    shadow_.clear();
    outcome_.before.take(hart_);
    outcome_.limit = limit;
    int64_t left = limit;
    outcome_.next = tier_->run(place, shadow_.translated(), left);
    outcome_.executed = limit - left;
    outcome_.after.take(hart_);
    outcome_.before.put(hart_);
}

void CheckTier::run_chain(const CodePlace& place, int64_t limit) {
    run_translated(place, limit);
    if (!outcome_.had_no_code()) return;
    tier_->translate(place);
    run_translated(place, limit);
}

void CheckTier::run_block(const CodePlace& place, Step& step, int64_t budget) {
    if (step.instructions != 0 && step.instructions <= budget) {
        run_translated(place, step.instructions);
        if (!outcome_.had_no_code()) return;
    }
    const int64_t most = std::min(kChain, budget);
    run_chain(place, most);
    if (outcome_.had_no_code()) return;
    for (int64_t count = 1; count <= most; count++) {
        run_translated(place, count);
        if (outcome_.had_no_code()) continue;
        step.instructions = static_cast<uint32_t>(count);
        return;
    }
}

void CheckTier::run_next(const CodePlace& place, int64_t budget) {
    Step& step = step_at(place);
    bool fourth = ++step.visits % kVisitsPerChain == 0;
    bool often = step.visits > kOften;
    if (fourth == often) return run_block(place, step, budget);
    run_chain(place, std::min(often ? kLongChain : kChain, budget));
}

// Translated code may leave an instruction to the interpreter when it has noted its flags already.
bool CheckTier::float_status_agrees() {
    const uint64_t translated = float_status(outcome_.after.mstatus, outcome_.after.fflags);
    auto interpreted = [&] { return float_status(hart_.csr.mstatus, hart_.csr.fflags); };
    if (interpreted() == translated) return true;
    if (outcome_.next != Next::kInterpretBlock || (interpreted() & ~translated) != 0) return false;
    outcome_.next = Next::kGoOn;
    return host_.interpret(1, shadow_.interpreted()).whole && (translated & ~interpreted()) == 0;
}

std::optional<Difference> CheckTier::compare(const CodePlace& place) {
    Interpreted done = host_.interpret(static_cast<uint64_t>(outcome_.executed), shadow_.interpreted());
    std::vector<MemoryDifference> memory;
    std::vector<uint64_t> only_interpreted;
    shadow_.each_writable([&](const ShadowMemory::Page& page) { compare_page(page, memory); });
    if (done.missed) only_interpreted = shadow_.take_written_by_interpreter_alone();
    bool agree =
        done.whole && memory.empty() && only_interpreted.empty() && same_but_float_status(hart_, outcome_.after);
    if (agree && float_status_agrees()) return std::nullopt;
    Difference found{.blocks = {place},
                     .limit = outcome_.limit,
                     .instructions = static_cast<uint64_t>(outcome_.executed),
                     .before = outcome_.before,
                     .interpreted = {},
                     .translated = outcome_.after,
                     .memory = std::move(memory),
                     .only_interpreted = std::move(only_interpreted),
                     .interpreted_left = !done.whole};
    found.interpreted.take(hart_);
    return found;
}

// Looks at a difference again, block by block, as a chain may hide where it began; and then at the whole chain.
// nullopt: there is none any more, and the hart has gone as far as before.
std::optional<Difference> CheckTier::confirm(const CodePlace& start, const Difference& first, const Budget& budget) {
    // What cannot be undone is not looked at again.
    if (first.interpreted_left || !first.only_interpreted.empty()) return first;
    constexpr size_t kBlocksToTell = 16;
    auto count = static_cast<int64_t>(first.instructions);
    UndoLog undo;
    undo.add(shadow_);
    auto go_back = [&] {
        undo.apply();
        first.before.put(hart_);
        budget.now = budget.before;
    };
    go_back();
    std::vector<CodePlace> blocks;
    while (count > 0) {
        auto here = host_.place();
        if (!here) break;
        if (blocks.size() < kBlocksToTell) blocks.push_back(*here);
        run_block(*here, step_at(*here), count);
        if (auto found = compare(*here)) return found;
        undo.add(shadow_);
        if (outcome_.executed == 0) break;
        count -= outcome_.executed;
    }
    go_back();
    run_translated(start, first.limit);
    auto found = compare(start);
    if (found && !blocks.empty()) found->blocks = std::move(blocks);
    return found;
}

void CheckTier::tell_of_race(uint64_t pc) {
    if (std::exchange(told_of_race_, true)) return;
    log_warning(
        "--engine check: hart {}: a difference at pc {:#x} was gone at the second look: a device may have written to "
        "memory meanwhile",
        hart_.id, pc);
}

interpret::NativeTier::Next CheckTier::run(const CodePlace& place, interpret::SoftTlb& tlb, int64_t& budget) {
    if (comparison_->failed.load(std::memory_order_relaxed)) return Next::kFail;
    tlb_ = &tlb;
    const int64_t before = budget;
    run_next(place, budget);
    auto difference = compare(place);
    if (difference) {
        difference = confirm(place, *difference, {before, budget});
        if (!difference) tell_of_race(place.pc);
    }
    compared_ += static_cast<uint64_t>(outcome_.executed);
    comparisons_++;
    if (!difference) return outcome_.next;
    if (!comparison_->failed.exchange(true)) comparison_->report(describe(*difference, hart_));
    return Next::kFail;
}

void CheckTier::add_statistics(Statistics& statistics) const {
    statistics.add("comparisons", comparisons_);
    tier_->add_statistics(statistics);
}

bool CheckTier::fill(uint64_t va, unsigned bytes, bool writes) {
    uint64_t page = va & kPageMask;
    if (((va + bytes - 1) & kPageMask) != page) return false;
    interpret::TlbEntry& entry = tlb_->slot(va);
    const uint64_t& tag = writes ? entry.write_tag : entry.read_tag;
    if (tag != page) {
        // A walk that changes page tables must happen when the instruction does, and once: it is the interpreter's.
        if ((hart_.csr.menvcfg & isa::riscv::envcfg::kAdue) != 0 || !host_.fill(va, bytes, writes)) return false;
    }
    shadow_.map(va, entry, writes);
    return true;
}

void CheckTier::drop_code_writes() {
    host_.drop_code_writes();
    shadow_.drop_addresses();
}

}  // namespace doppel::cpu::check
