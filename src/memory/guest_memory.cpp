#include "memory/guest_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "memory/frozen_copy.h"
#include "memory/mapping.h"
#include "memory/pagemap.h"

namespace doppel::memory {

namespace {

constexpr uint64_t kPagesPerWord = 64;

// A guest that discards scattered pages after a freeze would use up the process's mappings (vm.max_map_count is
// 65,530). Past this many separate ranges in a region, pages are zeroed in place instead.
constexpr size_t kMaxZeroedRanges = 4096;

Error bad_range(uint64_t base, uint64_t size, std::string why) {
    return {"add guest memory", fmt::format("{:#x} bytes at {:#x}", size, base), std::move(why), ""};
}

void discard_shared(const Region& region, uint64_t offset, uint64_t length) {
    int punched = ::fallocate(region.file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                              static_cast<off_t>(length));
    if (punched != 0) std::memset(region.host + offset, 0, length);
}

// Dropping a page of a frozen region would bring the frozen content back, so anonymous memory takes its place.
void discard_frozen(Region& region, uint64_t offset, uint64_t length) {
    uint8_t* at = region.host + offset;
    if (region.zeroed.contains(offset, length)) {
        if (::madvise(at, length, MADV_DONTNEED) == 0) return;
    } else if (region.zeroed.count() < kMaxZeroedRanges && map_zeroes(at, length)) {
        region.zeroed.insert(offset, length);
        return;
    }
    std::memset(at, 0, length);
}

}  // namespace

GuestMemory::~GuestMemory() {
    for (const auto& region : regions_) ::munmap(region->host, region->size);
}

Result<> GuestMemory::check_range(uint64_t base, uint64_t size) const {
    if (base % kPageSize != 0 || size % kPageSize != 0) {
        return fail(bad_range(base, size, "it is not made of whole pages of 4096 bytes"));
    }
    if (size == 0 || size > kMaxRegionSize)
        return fail(bad_range(base, size, "its size is not between 1 page and 4 TiB"));
    if (base > UINT64_MAX - (size - 1)) return fail(bad_range(base, size, "it ends above the address space"));
    for (const auto& region : regions_) {
        bool apart = base + (size - 1) < region->base || region->base + (region->size - 1) < base;
        if (!apart) return fail(bad_range(base, size, fmt::format("it overlaps the region at {:#x}", region->base)));
    }
    return {};
}

Result<std::unique_ptr<Region>> GuestMemory::make_region(const Mapping& mapping, UniqueFd file) {
    uint64_t words = (mapping.size / kPageSize + kPagesPerWord - 1) / kPagesPerWord;
    auto page_bits = [words] {
        return std::unique_ptr<std::atomic<uint64_t>[]>(new (std::nothrow) std::atomic<uint64_t>[words]());
    };
    auto dirty = page_bits(), discarded = page_bits(), code = page_bits(), code_written = page_bits();
    if (!dirty || !discarded || !code || !code_written) {
        return fail(bad_range(mapping.base, mapping.size, "the host has no memory for its dirty bits"));
    }
    uint8_t* host = map_file(file.get(), mapping.size, mapping.frozen ? MAP_PRIVATE : MAP_SHARED, nullptr);
    if (host == nullptr) {
        return fail(Error::system("map guest memory", fmt::format("{:#x} bytes", mapping.size), errno));
    }
    auto huge_pages = HugePages::create(host, mapping.size);
    if (!huge_pages) {
        ::munmap(host, mapping.size);
        return fail(std::move(huge_pages).error());
    }
    auto region = std::make_unique<Region>();
    region->base = mapping.base;
    region->size = mapping.size;
    region->writable = mapping.writable;
    region->code_only = mapping.code_only;
    region->host = host;
    region->file = std::move(file);
    region->frozen = mapping.frozen;
    region->dirty = std::move(dirty);
    region->discarded = std::move(discarded);
    region->code = std::move(code);
    region->code_written = std::move(code_written);
    region->huge_pages = std::move(*huge_pages);
    if (mapping.frozen) region->huge_pages.stop();
    return region;
}

void GuestMemory::open_pagemap() {
    if (!pagemap_) pagemap_ = memory::open_pagemap();
}

Result<const Region*> GuestMemory::add(const Mapping& mapping) {
    DOPPEL_CHECK(check_range(mapping.base, mapping.size));
    DOPPEL_TRY(UniqueFd file, create_memfd(mapping.size));
    DOPPEL_TRY(auto region, make_region(mapping, std::move(file)));
    open_pagemap();
    regions_.push_back(std::move(region));
    return regions_.back().get();
}

Result<> GuestMemory::add_region(uint64_t base, uint64_t size, bool writable) {
    DOPPEL_CHECK(add({base, size, writable, false, false}));
    return {};
}

void GuestMemory::stop_huge_pages() {
    for (const auto& region : regions_) region->huge_pages.stop();
}

Result<const Region*> GuestMemory::add_code_region(uint64_t base, uint64_t size) {
    return add({base, size, false, true, false});
}

Result<> GuestMemory::add_generation(const Generation& generation) {
    size_t before = regions_.size();
    auto add = [&](const Generation::Range& range) -> Result<> {
        DOPPEL_CHECK(check_range(range.base, range.size));
        // Pages past the end of a shorter file would raise SIGBUS.
        struct stat status {};
        if (::fstat(range.content.get(), &status) != 0 || static_cast<uint64_t>(status.st_size) < range.size) {
            return fail(bad_range(range.base, range.size, "its frozen content is missing or too short"));
        }
        DOPPEL_TRY(UniqueFd file, duplicate(range.content));
        DOPPEL_TRY(auto region,
                   make_region({range.base, range.size, range.writable, range.code_only, true}, std::move(file)));
        regions_.push_back(std::move(region));
        return {};
    };
    for (const Generation::Range& range : generation.ranges) {
        Result<> added = add(range);
        if (added) continue;
        for (size_t i = before; i < regions_.size(); i++) ::munmap(regions_[i]->host, regions_[i]->size);
        regions_.resize(before);
        return added;
    }
    open_pagemap();
    return {};
}

bool GuestMemory::read(uint64_t address, std::span<uint8_t> to) const {
    const Region* region = find_readable(address, to.size());
    if (region == nullptr) return false;
    if (!to.empty()) std::memcpy(to.data(), region->host + (address - region->base), to.size());
    return true;
}

bool GuestMemory::write(uint64_t address, std::span<const uint8_t> from) {
    const Region* region = find(address, from.size());
    if (region == nullptr) return false;
    if (!from.empty()) std::memcpy(region->host + (address - region->base), from.data(), from.size());
    mark_dirty(*region, address, from.size());
    return true;
}

bool GuestMemory::fill(uint64_t address, uint64_t length, uint8_t value) {
    const Region* region = find(address, length);
    if (region == nullptr) return false;
    std::memset(region->host + (address - region->base), value, length);
    mark_dirty(*region, address, length);
    return true;
}

namespace {

void note_used(const Region& region, uint64_t word, int pages) {
    if (pages > 0) region.huge_pages.note_used(word * kPagesPerWord * kPageSize, static_cast<unsigned>(pages));
}

void note_code_written(const Region& region, uint64_t word, uint64_t pages) {
    region.code_written[word].fetch_or(pages, std::memory_order_release);
    region.code_writes.fetch_add(1, std::memory_order_release);
}

}  // namespace

namespace {

// Calls `visit(word, bits)` for each word of the page bits that has some of the range's pages.
template <class Visit>
void for_each_word(const Region& region, uint64_t address, uint64_t length, Visit visit) {
    if (length == 0) return;
    uint64_t first = (address - region.base) / kPageSize;
    uint64_t last = (address - region.base + (length - 1)) / kPageSize;
    for (uint64_t word = first / kPagesPerWord; word <= last / kPagesPerWord; word++) {
        uint64_t bits = ~uint64_t{0};
        if (word == first / kPagesPerWord) bits &= ~uint64_t{0} << (first % kPagesPerWord);
        if (word == last / kPagesPerWord) bits &= ~uint64_t{0} >> (kPagesPerWord - 1 - last % kPagesPerWord);
        visit(word, bits);
    }
}

void note_code_written_among(const Region& region, uint64_t word, uint64_t bits) {
    if (uint64_t code = region.code[word].load(std::memory_order_relaxed) & bits; code != 0) [[unlikely]]
        note_code_written(region, word, code);
}

// Before the pages go: what is written from then on is a use again.
void mark_discarded(const Region& region, uint64_t address, uint64_t length) {
    for_each_word(region, address, length, [&](uint64_t word, uint64_t bits) {
        region.discarded[word].fetch_or(bits, std::memory_order_release);
        region.dirty[word].fetch_and(~bits, std::memory_order_release);
    });
    region.huge_pages.note_discarded(address - region.base, length);
}

}  // namespace

void GuestMemory::mark_dirty(const Region& region, uint64_t address, uint64_t length) {
    for_each_word(region, address, length, [&](uint64_t word, uint64_t bits) {
        // Most writes hit pages that are dirty already, and a load leaves the cache line shared.
        std::atomic<uint64_t>& entry = region.dirty[word];
        if ((entry.load(std::memory_order_relaxed) & bits) != bits) {
            const uint64_t before = entry.fetch_or(bits, std::memory_order_release);
            note_used(region, word, std::popcount(bits & ~before));
        }
        note_code_written_among(region, word, bits);
    });
}

namespace {

struct PageBit {
    uint64_t word;
    uint64_t mask;
};
PageBit page_bit(const Region& region, uint64_t address) {
    uint64_t page = (address - region.base) / kPageSize;
    return {page / kPagesPerWord, uint64_t{1} << (page % kPagesPerWord)};
}

}  // namespace

void GuestMemory::note_code(const Region& region, uint64_t address, bool holds_code) {
    auto [word, mask] = page_bit(region, address);
    if (holds_code) {
        region.code[word].fetch_or(mask);
    } else {
        region.code[word].fetch_and(~mask);
    }
}

bool GuestMemory::holds_code(const Region& region, uint64_t address) {
    auto [word, mask] = page_bit(region, address);
    return (region.code[word].load(std::memory_order_relaxed) & mask) != 0;
}

bool GuestMemory::take_code_written(const Region& region, uint64_t address) {
    auto [word, mask] = page_bit(region, address);
    if ((region.code_written[word].load(std::memory_order_relaxed) & mask) == 0) return false;
    return (region.code_written[word].fetch_and(~mask) & mask) != 0;
}

std::vector<uint64_t> GuestMemory::collect_dirty() {
    std::vector<const Region*> sorted;
    for (const auto& region : regions_) sorted.push_back(region.get());
    std::sort(sorted.begin(), sorted.end(), [](const Region* a, const Region* b) { return a->base < b->base; });
    std::vector<uint64_t> pages;
    for (const Region* region : sorted) {
        uint64_t words = (region->size / kPageSize + kPagesPerWord - 1) / kPagesPerWord;
        for (uint64_t word = 0; word < words; word++) {
            uint64_t bits = region->dirty[word].exchange(0, std::memory_order_acquire) |
                            region->discarded[word].exchange(0, std::memory_order_acquire);
            for (; bits != 0; bits &= bits - 1) {
                uint64_t page = word * kPagesPerWord + static_cast<uint64_t>(std::countr_zero(bits));
                pages.push_back(region->base + page * kPageSize);
            }
        }
    }
    return pages;
}

bool GuestMemory::discard(uint64_t address, uint64_t length) {
    if (address % kPageSize != 0 || length % kPageSize != 0) return false;
    std::lock_guard guard(lock_);
    for (const auto& region : regions_) {
        if (!region->contains(address, length)) continue;
        if (!region->writable) return false;
        if (length == 0) return true;
        uint64_t offset = address - region->base;
        mark_discarded(*region, address, length);
        region->frozen ? discard_frozen(*region, offset, length) : discard_shared(*region, offset, length);
        for_each_word(*region, address, length,
                      [&](uint64_t word, uint64_t bits) { note_code_written_among(*region, word, bits); });
        return true;
    }
    return false;
}

uint64_t GuestMemory::resident_bytes() const {
    std::lock_guard guard(lock_);
    uint64_t total = 0;
    for (const auto& region : regions_) {
        struct stat status {};
        if (::fstat(region->file.get(), &status) == 0) total += static_cast<uint64_t>(status.st_blocks) * 512;
        if (region->frozen && pagemap_) total += count_private_bytes(pagemap_, *region);
    }
    return total;
}

}  // namespace doppel::memory
