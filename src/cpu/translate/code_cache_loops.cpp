// The code cache's loops: compiled by a thread of its own while harts go on, and put in place of their blocks.
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
    std::vector<doppel::translate::Block> blocks;
    std::vector<stored_code::Part> parts;  // of each block
    x86::Compiled code;
};

void CodeCache::translate_loop(const memory::Region& region, uint64_t physical, CodeMode mode,
                               TracedTranslation* traced) {
    constexpr size_t kMostJobs = 64;
    std::lock_guard guard(lock_);
    auto found = blocks_.find(key_of(physical, mode));
    if (found == blocks_.end() || found->second->entry == nullptr || flush_wanted_.load()) return;
    if (found->second->is_loop_known || !found->second->regions.empty() || loop_jobs_.size() == kMostJobs) return;
    const uint64_t page_address = physical & ~(memory::kPageSize - 1);
    CodePage& page = pages_[page_address];
    if (page.region != &region || page.refused) return;
    found->second->is_loop_known = true;
    LoopJob job{&region, physical, mode, generation_.load(), {}};
    std::memcpy(job.page.data(), region.host + (page_address - region.base), job.page.size());
    if (traced == nullptr && loop_compiler_.joinable()) {
        loop_jobs_.push_back(job);
        loop_jobs_changed_.notify_all();
        return;
    }
    const uint64_t start = thread_nanoseconds();
    if (auto made = compile(job)) install(job, *made, traced);
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
        if (made && job.generation == generation_.load() && !flush_wanted_.load()) install(job, *made, nullptr);
        statistics_.nanoseconds += thread_nanoseconds() - start;
        compiles_loop_ = false;
        loop_jobs_changed_.notify_all();
    }
}

std::optional<CodeCache::CompiledLoop> CodeCache::compile(const LoopJob& job) const {
    auto loop = find_loop(job.page, static_cast<uint16_t>(job.physical % memory::kPageSize), job.mode, techniques_);
    if (!loop) return std::nullopt;
    CompiledLoop made;
    for (RecordedBlock& recorded : loop->blocks) {
        made.parts.push_back({recorded.block.start(), static_cast<uint16_t>(recorded.bytes)});
        made.blocks.push_back(std::move(recorded.block));
    }
    x86::Emitter emitter(hart_layout(), loop->mapping, techniques_);
    made.code = emitter.compile(made.blocks);
    if (!made.code.ok) return std::nullopt;
    return made;
}

// What was compiled must be what memory holds now: the page is watched, so that later changes are noted.
void CodeCache::install(const LoopJob& job, const CompiledLoop& made, TracedTranslation* traced) {
    const uint64_t page_address = job.physical & ~(memory::kPageSize - 1);
    auto found = pages_.find(page_address);
    if (found == pages_.end() || found->second.refused || found->second.region != job.region) return;
    CodePage& page = found->second;
    const uint8_t* now = job.region->host + (page_address - job.region->base);
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
        better.key = key_of(better.physical, job.mode);
        better.bytes = made.parts[i].bytes;
        better.hash = hash64(guest);
        better.entry = code.address(made.code.entries[i]);
        better.regions = {regions_};
        if (traced != nullptr) note(*traced, made.blocks[i], better.physical, guest, made.code, code);
        replace(page, better);
    }
    if (stored_) {
        const auto offset = static_cast<uint16_t>(job.physical - page_address);
        stored_->note(bytes, offset, job.mode, true, made.parts);
    }
    statistics_.regions++;
    statistics_.host_bytes += made.code.code.size();
}

}  // namespace doppel::cpu::translate
