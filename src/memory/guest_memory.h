// Guest physical memory: ranges over memfds, reached by bounds-checked copies.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/byte_order.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "memory/huge_pages.h"
#include "memory/page_ranges.h"

namespace doppel::memory {

inline constexpr uint64_t kPageSize = 4096;
inline constexpr uint64_t kMaxRegionSize = uint64_t{1} << 42;

// An immutable content of all regions, made by GuestMemory::freeze. Copies map it MAP_PRIVATE.
struct Generation {
    struct Range {
        uint64_t base;
        uint64_t size;
        UniqueFd content;  // a memfd, sealed against writing
        bool writable = true;
        bool code_only = false;
    };
    std::vector<Range> ranges;
};

// One contiguous range. `host` stays at its address for the region's life. `bytes` are guest-owned: they can change at
// any moment.
struct Region {
    uint64_t base;
    uint64_t size;
    bool writable;                              // by the guest; the host can always write (ROM)
    bool code_only;                             // see add_code_region
    mutable std::atomic<bool> readable{false};  // a code region's: loads and reads find it at present; its device's
    uint8_t* host;
    UniqueFd file;  // a memfd: mapped shared, or sealed and mapped copy-on-write once frozen
    bool frozen;
    PageRanges zeroed;                               // offsets where anonymous memory has replaced the frozen content
    std::unique_ptr<std::atomic<uint64_t>[]> dirty;  // a bit a page
    // A bit a page: discarded since the last collect_dirty, which is no use: what is written again later counts as new.
    std::unique_ptr<std::atomic<uint64_t>[]> discarded;
    // A bit a page each: an engine holds translations of its code; it was written since they were last compared.
    std::unique_ptr<std::atomic<uint64_t>[]> code, code_written;
    HugePages huge_pages;
    mutable std::atomic<uint64_t> code_writes{0};  // how often such a page was found written

    bool contains(uint64_t address, uint64_t length) const {
        return address >= base && length <= size && address - base <= size - length;
    }
};

// Regions are added before vCPUs run and stay. Copies and dirty bits are thread-safe (guest-visible races are the
// guest's own); freeze and collect_dirty need everything that writes stopped. Addresses are guest physical, sizes
// bytes.
class GuestMemory {
  public:
    GuestMemory() = default;
    ~GuestMemory();
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    // `base` and `size` are multiples of kPageSize, `size` in (0, kMaxRegionSize]; the range overlaps no other. Pages
    // cost nothing until touched.
    Result<> add_region(uint64_t base, uint64_t size, bool writable = true);
    // Memory that instructions are fetched from while a device answers data accesses (flash): stores never find it,
    // loads as long as the device makes it `readable`, and `find` never, so that nobody keeps a way to its bytes. What
    // the device changes it writes to `host` and marks dirty. The region stays where it is.
    Result<const Region*> add_code_region(uint64_t base, uint64_t size);
    // The same as add_region, with the content of a frozen generation, copy-on-write. All of its ranges or none.
    Result<> add_generation(const Generation& generation);

    // The memory that there is stays in the host's small pages.
    void stop_huge_pages();

    // False, and nothing copied, unless the whole range lies in one region. `write` marks pages dirty, and writes ROM
    // too.
    [[nodiscard]] bool read(uint64_t address, std::span<uint8_t> to) const;
    [[nodiscard]] bool write(uint64_t address, std::span<const uint8_t> from);
    [[nodiscard]] bool fill(uint64_t address, uint64_t length, uint8_t value);

    // One little-endian integer, fetched or stored once (a single access where it is naturally aligned).
    template <std::unsigned_integral T>
    [[nodiscard]] std::optional<T> load(uint64_t address) const {
        const Region* region = find_readable(address, sizeof(T));
        if (region == nullptr) return std::nullopt;
        T value;
        const uint8_t* from = region->host + (address - region->base);
        if (address % sizeof(T) == 0) {
            value = __atomic_load_n(reinterpret_cast<const T*>(from), __ATOMIC_RELAXED);
        } else {
            std::memcpy(&value, from, sizeof value);
        }
        if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
        return value;
    }
    template <std::unsigned_integral T>
    [[nodiscard]] bool store(uint64_t address, T value) {
        const Region* region = find(address, sizeof(T));
        if (region == nullptr) return false;
        if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
        uint8_t* to = region->host + (address - region->base);
        if (address % sizeof(T) == 0) {
            __atomic_store_n(reinterpret_cast<T*>(to), value, __ATOMIC_RELAXED);
        } else {
            std::memcpy(to, &value, sizeof value);
        }
        mark_dirty(*region, address, sizeof(T));
        return true;
    }

    // The region that holds the whole range, or nullptr. For engines (soft TLB) and for page-table updates.
    const Region* find(uint64_t address, uint64_t length) const {
        for (const auto& region : regions_) {
            if (region->contains(address, length)) return region->code_only ? nullptr : region.get();
        }
        return nullptr;
    }
    // The same for one load, at present.
    const Region* find_readable(uint64_t address, uint64_t length) const {
        const Region* region = find_code(address, length);
        return region != nullptr && region->code_only && !region->readable.load(std::memory_order_relaxed) ? nullptr
                                                                                                           : region;
    }
    // The same for fetching instructions.
    const Region* find_code(uint64_t address, uint64_t length) const {
        for (const auto& region : regions_) {
            if (region->contains(address, length)) return region.get();
        }
        return nullptr;
    }
    std::span<const std::unique_ptr<Region>> regions() const { return regions_; }

    // Dirty pages. An engine marks a page when its soft TLB gains a write entry for it, so after collect_dirty it must
    // drop those.
    static void mark_dirty(const Region& region, uint64_t address, uint64_t length);
    // Pages whose code an engine has translated: writes to them are noted, and no engine keeps a write entry for them
    // in its soft TLB. `address` lies in the region.
    static void note_code(const Region& region, uint64_t address, bool holds_code);
    static bool holds_code(const Region& region, uint64_t address);
    // Whether the page was written since the last call.
    static bool take_code_written(const Region& region, uint64_t address);
    // Guest physical addresses of the pages written or discarded since the last call, ascending; clears the bits.
    std::vector<uint64_t> collect_dirty();

    // Gives whole pages back to the host; the guest then reads zeroes. False unless the range is page-aligned and in
    // one writable region.
    [[nodiscard]] bool discard(uint64_t address, uint64_t length);

    // The present content becomes an immutable generation; the running guest goes on over it copy-on-write at the same
    // host addresses. All or nothing: on failure memory is as before.
    Result<std::shared_ptr<const Generation>> freeze();

    // Bytes of host memory in use by all regions. A frozen content that several memories share counts in full in each.
    uint64_t resident_bytes() const;

  private:
    struct Mapping {
        uint64_t base;
        uint64_t size;
        bool writable;
        bool code_only;
        bool frozen;
    };
    Result<const Region*> add(const Mapping& mapping);
    static Result<std::unique_ptr<Region>> make_region(const Mapping& mapping, UniqueFd file);
    Result<> check_range(uint64_t base, uint64_t size) const;
    void open_pagemap();

    std::vector<std::unique_ptr<Region>> regions_;
    UniqueFd pagemap_;         // opened early: a confined process cannot later
    mutable std::mutex lock_;  // of the regions' `frozen`, `file` and `zeroed`
};

}  // namespace doppel::memory
