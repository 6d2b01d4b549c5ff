// The code cache's instructions that begin in one page and end in another. No direct jump leads to them, as the second
// page is another one in each address space: they are found by virtual address, or by where both halves are.
#include <algorithm>
#include <array>

#include "base/hash.h"
#include "cpu/translate/code_cache.h"
#include "cpu/translate/thread_time.h"

namespace doppel::cpu::translate {

namespace {

constexpr size_t kHalf = 2;  // bytes

bool is_first(uint64_t physical) {
    return physical % memory::kPageSize != 0;
}

}  // namespace

CodeCache::StraddleKey CodeCache::key_of(const NativeBlock& half) {
    if (is_first(half.physical)) return {half.key, half.other_physical};
    const uint64_t mode = half.key & 0xf;
    return {half.other_physical >> 1 << 4 | mode, half.physical};
}

const uint8_t* CodeCache::find(const Straddle& place, CodeMode mode) {
    std::lock_guard guard(lock_);
    auto found = straddling_.find({key_of(place.physical, mode), place.other_physical});
    return found == straddling_.end() ? nullptr : found->second;
}

const uint8_t* CodeCache::translate(const Straddle& place, CodeMode mode, TracedTranslation* traced) {
    std::lock_guard guard(lock_);
    const StraddleKey key{key_of(place.physical, mode), place.other_physical};
    if (auto found = straddling_.find(key); found != straddling_.end()) return found->second;
    if (flush_wanted_.load()) {
        flush_if_possible();
        return nullptr;
    }
    const uint64_t start = thread_nanoseconds();
    const auto offset = static_cast<uint16_t>(place.physical % memory::kPageSize);
    // Both pages are watched before the copy is made.
    CodePage& page = page_at(*place.region, place.physical - offset);
    CodePage& other = page_at(*place.other_region, place.other_physical);
    if (page.refused || other.refused) return nullptr;
    std::array<uint8_t, memory::kPageSize + kHalf> copy{};
    std::copy_n(place.region->host + (place.physical - place.region->base), kHalf, &copy[offset]);
    std::copy_n(place.other_region->host + (place.other_physical - place.other_region->base), kHalf,
                &copy[memory::kPageSize]);
    const auto compiled = compile_block(copy, offset, place.physical, mode, traced);
    if (!compiled) return nullptr;
    auto half = [&](uint64_t physical, uint64_t other_physical, size_t at) {
        NativeBlock made{};
        made.key = key_of(physical, mode);
        made.physical = physical;
        made.other_physical = other_physical;
        made.bytes = kHalf;
        made.hash = hash64(std::span<const uint8_t>(copy).subspan(at, kHalf));
        return made;
    };
    page.blocks.push_back(std::make_unique<NativeBlock>(half(place.physical, place.other_physical, offset)));
    other.blocks.push_back(
        std::make_unique<NativeBlock>(half(place.other_physical, place.physical, memory::kPageSize)));
    straddling_[key] = compiled->entry;
    statistics_.nanoseconds += thread_nanoseconds() - start;
    return compiled->entry;
}

}  // namespace doppel::cpu::translate
