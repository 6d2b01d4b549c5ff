// The code cache's loops: compiled by a thread of its own while harts go on, and put in place of their blocks.
#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/hash.h"
#include "cpu/translate/code_cache.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/loop_region.h"
#include "cpu/translate/thread_time.h"
#include "cpu/translate/traced_code.h"

namespace doppel::cpu::translate {

namespace x86 = doppel::translate::x86;

struct CodeCache::CompiledLoop {
    bool is_left = false;  // a visited block is not in it
    std::vector<doppel::translate::Block> blocks;
    std::vector<stored_code::Part> parts;  // of each block
    x86::Compiled code;
};

void CodeCache::translate_loop(const LoopPlace& place, TracedTranslation* traced) {
    constexpr size_t kMostJobs = 64;
    std::lock_guard guard(lock_);
    auto found = blocks_.find(key_of(place.physical, place.mode));
    if (found == blocks_.end() || found->second->entry == nullptr || flush_wanted_.load()) return;
    if (found->second->is_loop_known || !found->second->regions.empty() || loop_jobs_.size() == kMostJobs) return;
    const uint64_t page_address = place.physical & ~(memory::kPageSize - 1);
    CodePage& page = pages_[page_address];
    if (page.region != place.region || page.refused) return;
    found->second->is_loop_known = true;
    LoopJob job{place, generation_.load(), {}};
    std::memcpy(job.page.data(), place.region->host + (page_address - place.region->base), job.page.size());
    if (traced == nullptr && loop_compiler_.joinable()) {
        loop_jobs_.push_back(job);
        loop_jobs_changed_.notify_all();
        return;
    }
    const uint64_t start = thread_nanoseconds();
    finish(job, compile(job), traced);
    statistics_.nanoseconds += thread_nanoseconds() - start;
}

void CodeCache::start_thread() {
    if (!techniques_.loop_thread) return;
    try {
        loop_compiler_ = std::jthread([this](const std::stop_token& stop) { compile_loops(stop); });
    } catch (const std::system_error&) {
        // Harts compile their loops themselves.
    }
}

void CodeCache::finish_loops() {
    std::unique_lock guard(lock_);
    loop_jobs_changed_.wait(guard, [this] { return loop_jobs_.empty() && !compiles_loop_; });
}

void CodeCache::compile_loops(const std::stop_token& stop) {
    std::unique_lock guard(lock_);
    while (loop_jobs_changed_.wait(guard, stop, [this] { return !loop_jobs_.empty(); })) {
        const LoopJob job = loop_jobs_.front();
        loop_jobs_.pop_front();
        compiles_loop_ = true;
        guard.unlock();
        const uint64_t start = thread_nanoseconds();
        const auto made = compile(job);
        guard.lock();
        if (job.generation == generation_.load() && !flush_wanted_.load()) finish(job, made, nullptr);
        statistics_.nanoseconds += thread_nanoseconds() - start;
        compiles_loop_ = false;
        loop_jobs_changed_.notify_all();
    }
}

CodeCache::CompiledLoop CodeCache::compile(const LoopJob& job) const {
    CompiledLoop made;
    const auto offset = static_cast<uint16_t>(job.place.physical % memory::kPageSize);
    auto loop = find_loop(job.page, offset, job.place.mode, techniques_);
    if (!loop) return made;
    made.is_left = !std::ranges::all_of(job.place.visited, [&](uint16_t visited) {
        return std::ranges::any_of(loop->blocks, [&](const auto& each) { return each.block.start() == visited; });
    });
    if (made.is_left) return made;
    for (RecordedBlock& recorded : loop->blocks) {
        made.parts.push_back({recorded.block.start(), static_cast<uint16_t>(recorded.bytes)});
        made.blocks.push_back(std::move(recorded.block));
    }
    x86::Emitter emitter(hart_layout(), loop->mapping, techniques_);
    made.code = emitter.compile(made.blocks);
    return made;
}

void CodeCache::finish(const LoopJob& job, const CompiledLoop& made, TracedTranslation* traced) {
    if (made.code.ok) return install(job, made, traced);
    const auto block = blocks_.find(key_of(job.place.physical, job.place.mode));
    if (made.is_left && block != blocks_.end()) block->second->is_loop_known = false;  // it may last another time
}

// What was compiled must be what memory holds now: the page is watched, so that later changes are noted.
void CodeCache::install(const LoopJob& job, const CompiledLoop& made, TracedTranslation* traced) {
    const uint64_t page_address = job.place.physical & ~(memory::kPageSize - 1);
    auto found = pages_.find(page_address);
    if (found == pages_.end() || found->second.refused || found->second.region != job.place.region) return;
    CodePage& page = found->second;
    const uint8_t* now = job.place.region->host + (page_address - job.place.region->base);
    for (const stored_code::Part& part : made.parts) {
        if (std::memcmp(now + part.offset, &job.page[part.offset], part.bytes) != 0) return;
    }
    const x86::Placed code = x86::place(memory_, made.code, techniques_.cold_apart);
    if (code.hot == nullptr) {
        flush_wanted_.store(true);
        return;
    }
    regions_++;
    const std::span<const uint8_t> bytes(job.page);
    for (size_t i = 0; i < made.blocks.size(); i++) {
        const auto guest = bytes.subspan(made.parts[i].offset, made.parts[i].bytes);
        NativeBlock better{};
        better.physical = page_address + made.parts[i].offset;
        better.key = key_of(better.physical, job.place.mode);
        better.bytes = made.parts[i].bytes;
        better.hash = hash64(guest);
        better.entry = code.address(made.code.entries[i]);
        better.regions = {regions_};
        if (traced != nullptr) note(*traced, made.blocks[i], better.physical, guest, made.code, code);
        replace(page, better);
    }
    if (stored_) {
        const auto offset = static_cast<uint16_t>(job.place.physical - page_address);
        stored_->note(bytes, offset, job.place.mode, true, made.parts);
    }
    statistics_.regions++;
    statistics_.host_bytes += made.code.code.size();
}

}  // namespace doppel::cpu::translate
