#include "cpu/translate/code_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/byte_order.h"
#include "base/hash.h"
#include "cpu/translate/front_end.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/thread_time.h"
#include "cpu/translate/traced_code.h"

namespace doppel::cpu::translate {

using doppel::translate::CodeMemory;
namespace x86 = doppel::translate::x86;

namespace {

constexpr uint64_t kPageMask = ~(memory::kPageSize - 1);

// Others may execute the jump meanwhile: one store.
void store_displacement(uint8_t* writable, int32_t value) {
    __atomic_store_n(reinterpret_cast<int32_t*>(writable), value, __ATOMIC_RELEASE);
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(size_t bytes, std::shared_ptr<StoredCode> stored,
                                                     const doppel::translate::Techniques& techniques) {
    DOPPEL_TRY(CodeMemory memory, CodeMemory::create(bytes));
    return std::unique_ptr<CodeCache>(new CodeCache(std::move(memory), std::move(stored), techniques));
}

CodeCache::CodeCache(CodeMemory memory, std::shared_ptr<StoredCode> stored,
                     const doppel::translate::Techniques& techniques)
    : techniques_(techniques),
      memory_(std::move(memory)),
      thunks_(x86::make_thunks(hart_layout())),
      stored_(std::move(stored)) {
    thunk_base_ = memory_.place(thunks_.code);
    kept_ = memory_.used();
}

void CodeCache::join(Participant& participant) {
    std::lock_guard guard(lock_);
    participants_.push_back(&participant);
}

void CodeCache::leave(Participant& participant) {
    std::lock_guard guard(lock_);
    std::erase(participants_, &participant);
}

bool CodeCache::enter(Participant& participant) {
    participant.inside.store(true);
    if (!flush_wanted_.load()) return true;
    participant.inside.store(false);
    std::lock_guard guard(lock_);
    flush_if_possible();
    return false;
}

void CodeCache::flush_if_possible() {
    if (!flush_wanted_.load()) return;
    bool used =
        std::any_of(participants_.begin(), participants_.end(), [](Participant* p) { return p->inside.load(); });
    if (used) return;
    for (auto& [physical, page] : pages_) memory::GuestMemory::note_code(*page.region, physical, false);
    old_pages_.clear();  // nothing, unless the cache filled up within moments
    old_blocks_.clear();
    old_pages_.swap(pages_);
    old_blocks_.swap(blocks_);
    straddling_.clear();
    memory_.clear(kept_);
    statistics_.flushes++;
    generation_.fetch_add(1);
    flush_wanted_.store(false);
}

void CodeCache::free_some() {
    constexpr int kPages = 2, kBlocks = 16;  // more than a translation adds
    for (int i = 0; i < kPages && !old_pages_.empty(); i++) old_pages_.erase(old_pages_.begin());
    for (int i = 0; i < kBlocks && !old_blocks_.empty(); i++) old_blocks_.erase(old_blocks_.begin());
}

const uint8_t* CodeCache::find(uint64_t physical, CodeMode mode) {
    std::lock_guard guard(lock_);
    auto found = blocks_.find(key_of(physical, mode));
    return found == blocks_.end() ? nullptr : found->second->entry;
}

const uint8_t* CodeCache::translate(const memory::Region& region, uint64_t physical, CodeMode mode,
                                    TracedTranslation* traced) {
    std::lock_guard guard(lock_);
    if (auto found = blocks_.find(key_of(physical, mode)); found != blocks_.end()) return found->second->entry;
    if (flush_wanted_.load()) {
        flush_if_possible();
        return nullptr;
    }
    free_some();
    if (const uint8_t* entry = take_stored(region, physical, mode, traced)) return entry;
    uint64_t start = thread_nanoseconds();
    const uint8_t* entry = compile(region, physical, mode, traced);
    statistics_.nanoseconds += thread_nanoseconds() - start;
    return entry;
}

CodeCache::CodePage& CodeCache::page_at(const memory::Region& region, uint64_t page_address) {
    auto [at, is_new] = pages_.try_emplace(page_address);
    CodePage& page = at->second;
    if (is_new) {
        page.region = &region;
        memory::GuestMemory::note_code(region, page_address, true);
        page.number = code_pages_.fetch_add(1) + 1;
        regions_with_code_.insert(&region);
    }
    return page;
}

const uint8_t* CodeCache::load(const memory::Region& region, uint64_t physical, CodeMode mode,
                               TracedTranslation* traced) {
    std::lock_guard guard(lock_);
    if (auto found = blocks_.find(key_of(physical, mode)); found != blocks_.end()) return found->second->entry;
    if (flush_wanted_.load()) return nullptr;
    free_some();
    return take_stored(region, physical, mode, traced);
}

// The page is watched before its code is compared, so that `compare_written` sees whatever the guest writes from then
// on; but it is not for nothing that it is watched.
const uint8_t* CodeCache::take_stored(const memory::Region& region, uint64_t physical, CodeMode mode,
                                      TracedTranslation* traced) {
    if (stored_ == nullptr) return nullptr;
    uint64_t page_address = physical & kPageMask;
    auto offset = static_cast<uint16_t>(physical - page_address);
    const std::span<const uint8_t> now(region.host + (page_address - region.base), memory::kPageSize);
    auto number = stored_->find(now, offset, mode);
    if (!number) return nullptr;
    CodePage& page = page_at(region, page_address);
    if (page.refused) return nullptr;
    const stored_code::Unit* unit = stored_->take(*number, now, offset);
    if (unit == nullptr) return nullptr;
    const x86::Compiled compiled{true, unit->host, unit->cold_at, unit->crossings, {}};
    const x86::Placed code = x86::place(memory_, compiled, techniques_.cold_apart);
    if (code.hot == nullptr) {
        flush_wanted_.store(true);
        return nullptr;
    }
    install(page, page_address, mode, *unit, code);
    if (traced != nullptr) note(*traced, *unit, page_address, compiled, code);
    return blocks_[key_of(physical, mode)]->entry;
}

void CodeCache::install(CodePage& page, uint64_t page_address, CodeMode mode, const stored_code::Unit& unit,
                        const x86::Placed& code) {
    if (unit.is_loop) regions_++;
    std::span<const uint8_t> guest = unit.guest;
    for (const stored_code::Part& part : unit.parts) {
        NativeBlock block{};
        block.physical = page_address + part.offset;
        block.key = key_of(block.physical, mode);
        block.bytes = part.bytes;
        block.hash = hash64(guest.first(part.bytes));
        block.entry = code.address(part.entry);
        guest = guest.subspan(part.bytes);
        if (unit.is_loop) {
            block.regions = {regions_};
            replace(page, block);
        } else {
            page.blocks.push_back(std::make_unique<NativeBlock>(std::move(block)));
            blocks_[page.blocks.back()->key] = page.blocks.back().get();
        }
    }
    unit.is_loop ? statistics_.loaded_regions++ : statistics_.loaded_blocks++;
    statistics_.loaded_host_bytes += unit.host.size();
}

std::optional<CodeCache::CompiledBlock> CodeCache::compile_block(std::span<const uint8_t> code, uint16_t offset,
                                                                 uint64_t physical, CodeMode mode,
                                                                 TracedTranslation* traced) {
    CompiledBlock made;
    auto recorded = record_block(code, offset, mode, techniques_);
    if (!recorded) return made;
    made.bytes = recorded->bytes;
    x86::Emitter emitter(hart_layout(), x86::canonical_mapping(), techniques_);
    x86::Compiled compiled = emitter.compile({&recorded->block, 1});
    if (!compiled.ok) return made;
    const x86::Placed placed = x86::place(memory_, compiled, techniques_.cold_apart);
    if (placed.hot == nullptr) {
        flush_wanted_.store(true);
        return std::nullopt;
    }
    made.entry = placed.address(compiled.entries[0]);
    if (traced != nullptr) note(*traced, recorded->block, physical, code.subspan(offset, made.bytes), compiled, placed);
    statistics_.blocks++;
    statistics_.guest_bytes += made.bytes;
    statistics_.host_bytes += compiled.code.size();
    return made;
}

const uint8_t* CodeCache::compile(const memory::Region& region, uint64_t physical, CodeMode mode,
                                  TracedTranslation* traced) {
    uint64_t page_address = physical & kPageMask;
    CodePage& page = page_at(region, page_address);
    if (page.refused) return nullptr;
    // What the guest writes from here on is noted, so the copy is what `compare_written` compares with.
    std::array<uint8_t, memory::kPageSize> copy;
    std::memcpy(copy.data(), region.host + (page_address - region.base), copy.size());
    auto offset = static_cast<uint16_t>(physical - page_address);
    const auto compiled = compile_block(copy, offset, physical, mode, traced);
    if (!compiled) return nullptr;
    if (stored_ && compiled->entry != nullptr) {
        stored_->note(copy, offset, mode, false, {{offset, static_cast<uint16_t>(compiled->bytes)}});
    }
    auto made = std::make_unique<NativeBlock>();
    made->key = key_of(physical, mode);
    made->physical = physical;
    made->entry = compiled->entry;
    made->bytes = std::min<uint32_t>(compiled->bytes, static_cast<uint32_t>(copy.size() - offset));
    made->hash = hash64(std::span(copy).subspan(offset, made->bytes));
    blocks_[made->key] = made.get();
    page.blocks.push_back(std::move(made));
    return compiled->entry;
}

// Whoever comes to the block's old code goes on to the new one from there. A block of a region keeps its code, as only
// blocks compiled alone have room for a jump at their entry; it is a part of both then.
void CodeCache::replace(CodePage& page, const NativeBlock& better) {
    auto [at, is_new] = blocks_.try_emplace(better.key);
    if (is_new) {
        page.blocks.push_back(std::make_unique<NativeBlock>(better));
        at->second = page.blocks.back().get();
        return;
    }
    NativeBlock& block = *at->second;
    bool is_alone = block.regions.empty();
    block.regions.push_back(better.regions.front());
    if (!is_alone) return;
    const uint8_t* old = std::exchange(block.entry, better.entry);
    block.bytes = better.bytes;
    block.hash = better.hash;
    if (old != nullptr) x86::redirect(memory_.writable(old), old, block.entry);
}

void CodeCache::link(uint8_t* site, uint64_t physical, CodeMode mode) {
    std::lock_guard guard(lock_);
    auto found = blocks_.find(key_of(physical, mode));
    if (found == blocks_.end() || found->second->entry == nullptr || !memory_.contains(site)) return;
    uint8_t* writable = memory_.writable(site);
    int32_t before = load_le<int32_t>(writable);
    auto distance = static_cast<int32_t>(found->second->entry - (site + sizeof(int32_t)));
    if (before == distance) return;
    found->second->incoming.push_back({site, before});
    store_displacement(writable, distance);
}

bool CodeCache::settled(const CodePage& page) const {
    return std::all_of(participants_.begin(), participants_.end(), [&](const Participant* participant) {
        return !participant->executing.load() || participant->seen.load() >= page.number;
    });
}

bool CodeCache::holds(const CodePage& page, const NativeBlock& block) const {
    const uint8_t* at = page.region->host + (block.physical - page.region->base);
    return hash64({at, block.bytes}) == block.hash;
}

void CodeCache::drop(NativeBlock& block) {
    for (const Link& link : block.incoming) store_displacement(memory_.writable(link.site), link.unlinked);
    block.other_physical != 0 ? straddling_.erase(key_of(block)) : blocks_.erase(block.key);
    statistics_.invalidated++;
    drops_++;
}

void CodeCache::forget_page(uint64_t physical_page, CodePage& page) {
    for (auto& block : page.blocks) drop(*block);
    page.blocks.clear();
    memory::GuestMemory::note_code(*page.region, physical_page, false);
}

// The blocks of a region go together.
void CodeCache::drop_changed(CodePage& page) {
    std::vector<uint64_t> gone;
    std::erase_if(page.blocks, [&](const std::unique_ptr<NativeBlock>& block) {
        if (holds(page, *block)) return false;
        gone.insert(gone.end(), block->regions.begin(), block->regions.end());
        drop(*block);
        return true;
    });
    if (gone.empty()) return;
    std::erase_if(page.blocks, [&](const std::unique_ptr<NativeBlock>& block) {
        auto is_gone = [&](uint64_t region) { return std::find(gone.begin(), gone.end(), region) != gone.end(); };
        if (std::none_of(block->regions.begin(), block->regions.end(), is_gone)) return false;
        drop(*block);
        return true;
    });
}

uint64_t CodeCache::compare_written() {
    std::lock_guard guard(lock_);
    Compared now{code_pages_.load(), 0, true};
    for (const memory::Region* region : regions_with_code_) now.writes += region->code_writes.load();
    for (const Participant* participant : participants_) {
        now.settled = now.settled && (!participant->executing.load() || participant->seen.load() >= now.pages);
    }
    // Kernels fence much more often than code changes.
    bool nothing_new = now.pages == compared_.pages && now.writes == compared_.writes && compared_.settled;
    if (nothing_new && !any_refused_) return drops_;
    compared_ = now;
    any_refused_ = false;
    for (auto at = pages_.begin(); at != pages_.end();) {
        auto& [address, page] = *at;
        // A hart may have written by an old write entry until it dropped it, so that the page is compared once more.
        bool is_settled = settled(page);
        bool suspect = memory::GuestMemory::take_code_written(*page.region, address) || !page.settled;
        page.settled = is_settled;
        if (suspect && !page.refused) {
            drop_changed(page);
            page.writes = 0;
        }
        if (page.refused || page.blocks.empty()) {
            forget_page(address, page);
            at = pages_.erase(at);
        } else {
            ++at;
        }
    }
    return drops_;
}

void CodeCache::note_write(uint64_t physical) {
    constexpr unsigned kTooManyWrites = 256;
    std::lock_guard guard(lock_);
    auto found = pages_.find(physical & kPageMask);
    if (found == pages_.end() || ++found->second.writes < kTooManyWrites) return;
    forget_page(found->first, found->second);
    found->second.refused = true;
    any_refused_ = true;
}

CacheStatistics CodeCache::statistics() const {
    std::lock_guard guard(lock_);
    CacheStatistics statistics = statistics_;
    statistics.used_bytes = memory_.used();
    return statistics;
}

}  // namespace doppel::cpu::translate
