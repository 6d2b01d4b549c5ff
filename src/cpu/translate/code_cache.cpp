#include "cpu/translate/code_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/byte_order.h"
#include "cpu/translate/front_end.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/loop_region.h"

namespace doppel::cpu::translate {

using doppel::translate::CodeMemory;
namespace x86 = doppel::translate::x86;

namespace {

constexpr uint64_t kPageMask = ~(memory::kPageSize - 1);

uint64_t hash_of(std::span<const uint8_t> bytes) {
    constexpr uint64_t kFactor = 0x9e37'79b9'7f4a'7c15;
    uint64_t hash = bytes.size() * kFactor;
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        hash = (hash ^ load_le<uint64_t>(&bytes[at])) * kFactor;
        hash ^= hash >> 29;
    }
    uint64_t rest = 0;
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    hash = (hash ^ rest) * kFactor;
    return hash ^ hash >> 32;
}

// Of the calling thread's processor time.
uint64_t thread_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    constexpr uint64_t kSecond = 1'000'000'000;
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

// Adds a block to what is traced; `host` is the code of all.
void note(TracedTranslation& traced, const doppel::translate::Block& block, uint64_t pc, std::span<const uint8_t> guest,
          const x86::Compiled& compiled, const x86::Placed& placed) {
    traced.blocks.push_back({pc, {guest.begin(), guest.end()}, doppel::translate::print(block)});
    const std::span<const uint8_t> code(compiled.code);
    auto part = [](std::span<const uint8_t> bytes, const uint8_t* at) {
        return TracedTranslation::HostCode{{bytes.begin(), bytes.end()}, reinterpret_cast<uint64_t>(at)};
    };
    traced.host_code = {part(code.first(compiled.cold_at), placed.hot),
                        part(code.subspan(compiled.cold_at), placed.cold)};
}

// Others may execute the jump meanwhile: one store.
void store_displacement(uint8_t* writable, int32_t value) {
    __atomic_store_n(reinterpret_cast<int32_t*>(writable), value, __ATOMIC_RELEASE);
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(size_t bytes) {
    DOPPEL_TRY(CodeMemory memory, CodeMemory::create(bytes));
    return std::unique_ptr<CodeCache>(new CodeCache(std::move(memory)));
}

CodeCache::CodeCache(CodeMemory memory) : memory_(std::move(memory)), thunks_(x86::make_thunks(hart_layout())) {
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
    uint64_t start = thread_nanoseconds();
    const uint8_t* entry = compile(region, physical, mode, traced);
    statistics_.nanoseconds += thread_nanoseconds() - start;
    return entry;
}

const uint8_t* CodeCache::compile(const memory::Region& region, uint64_t physical, CodeMode mode,
                                  TracedTranslation* traced) {
    uint64_t page_address = physical & kPageMask;
    auto [at, is_new] = pages_.try_emplace(page_address);
    CodePage& page = at->second;
    if (page.refused) return nullptr;
    if (is_new) {
        page.region = &region;
        memory::GuestMemory::note_code(region, page_address, true);
        page.number = code_pages_.fetch_add(1) + 1;
        regions_with_code_.insert(&region);
    }
    // What the guest writes from here on is noted, so the copy is what `compare_written` compares with.
    std::array<uint8_t, memory::kPageSize> copy;
    std::memcpy(copy.data(), region.host + (page_address - region.base), copy.size());
    auto offset = static_cast<uint16_t>(physical - page_address);
    auto made = std::make_unique<NativeBlock>();
    made->key = key_of(physical, mode);
    made->physical = physical;
    made->bytes = 4;
    if (auto recorded = record_block(copy, offset, mode)) {
        made->bytes = recorded->bytes;
        x86::Emitter emitter(hart_layout(), x86::canonical_mapping());
        x86::Compiled compiled = emitter.compile({&recorded->block, 1});
        if (compiled.ok) {
            const x86::Placed code = x86::place(memory_, compiled);
            if (code.hot == nullptr) {
                flush_wanted_.store(true);
                return nullptr;
            }
            made->entry = code.address(compiled.entries[0]);
            if (traced != nullptr) {
                note(*traced, recorded->block, physical, std::span(copy).subspan(offset, recorded->bytes), compiled,
                     code);
            }
            statistics_.blocks++;
            statistics_.guest_bytes += recorded->bytes;
            statistics_.host_bytes += compiled.code.size();
        }
    }
    made->bytes = std::min<uint32_t>(made->bytes, static_cast<uint32_t>(copy.size() - offset));
    made->hash = hash_of(std::span(copy).subspan(offset, made->bytes));
    const uint8_t* entry = made->entry;
    blocks_[made->key] = made.get();
    page.blocks.push_back(std::move(made));
    return entry;
}

void CodeCache::translate_loop(const memory::Region& region, uint64_t physical, CodeMode mode,
                               TracedTranslation* traced) {
    std::lock_guard guard(lock_);
    auto found = blocks_.find(key_of(physical, mode));
    if (found == blocks_.end() || found->second->entry == nullptr || flush_wanted_.load()) return;
    if (!found->second->regions.empty()) return;
    CodePage& page = pages_[physical & kPageMask];
    if (page.region != &region || page.refused) return;
    uint64_t start = thread_nanoseconds();
    compile_loop(page, physical, mode, traced);
    statistics_.nanoseconds += thread_nanoseconds() - start;
}

void CodeCache::compile_loop(CodePage& page, uint64_t physical, CodeMode mode, TracedTranslation* traced) {
    uint64_t page_address = physical & kPageMask;
    std::array<uint8_t, memory::kPageSize> copy;
    std::memcpy(copy.data(), page.region->host + (page_address - page.region->base), copy.size());
    auto loop = find_loop(copy, static_cast<uint16_t>(physical - page_address), mode);
    if (!loop) return;
    std::vector<doppel::translate::Block> blocks;
    for (RecordedBlock& recorded : loop->blocks) blocks.push_back(std::move(recorded.block));
    x86::Emitter emitter(hart_layout(), loop->mapping);
    x86::Compiled compiled = emitter.compile(blocks);
    if (!compiled.ok) return;
    const x86::Placed code = x86::place(memory_, compiled);
    if (code.hot == nullptr) {
        flush_wanted_.store(true);
        return;
    }
    regions_++;
    for (size_t i = 0; i < blocks.size(); i++) {
        NativeBlock better{};
        better.physical = page_address + blocks[i].start();
        better.key = key_of(better.physical, mode);
        better.bytes = loop->blocks[i].bytes;
        better.hash = hash_of(std::span(copy).subspan(blocks[i].start(), better.bytes));
        better.entry = code.address(compiled.entries[i]);
        better.regions = {regions_};
        if (traced != nullptr) {
            note(*traced, blocks[i], better.physical, std::span(copy).subspan(blocks[i].start(), better.bytes),
                 compiled, code);
        }
        replace(page, better);
    }
    statistics_.regions++;
    statistics_.host_bytes += compiled.code.size();
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
    return hash_of({at, block.bytes}) == block.hash;
}

void CodeCache::drop(NativeBlock& block) {
    for (const Link& link : block.incoming) store_displacement(memory_.writable(link.site), link.unlinked);
    blocks_.erase(block.key);
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
