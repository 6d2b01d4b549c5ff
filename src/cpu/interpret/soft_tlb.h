// The soft TLB: from a virtual page to host memory in a few instructions, per privilege and address space.
//
// Each address space and mode has a table of its own, out of a small pool, so that a context switch needs no flush. An
// entry's tag is the page's address. An access of n bytes at `va` is looked up in the slot of va's page, by the page of
// its last byte: one that crosses a page never matches.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::cpu::interpret {

inline constexpr uint64_t kPageMask = ~uint64_t{0xfff};
inline constexpr unsigned kSpaceBits = 12;
inline constexpr uint32_t kNoSpace = 0;  // no address space has this number, so a cleared entry matches nothing

inline constexpr uint64_t kNoPage = 1;  // a tag that no page has

// Translated code knows this form.
struct TlbEntry {
    uint64_t read_tag = kNoPage;
    uint64_t write_tag = kNoPage;
    uint64_t offset = 0;    // host address minus virtual address
    uint64_t physical = 0;  // the page's guest physical address
};
static_assert(sizeof(TlbEntry) == 32);

// Grows while its misses are many.
class SoftTlb {
  public:
    // Numbers of entries, powers of two. An interpreter looks up a page in a small part of its time, and every hart has
    // several tables: they stay small without translated code.
    static constexpr size_t kSmallest = 1 << 10, kLargestInterpreted = 1 << 11, kLargest = 1 << 15;

    SoftTlb() : entries_(kSmallest) {}
    TlbEntry& slot(uint64_t va) { return entries_[(va >> 12) & (entries_.size() - 1)]; }
    void clear() { std::fill(entries_.begin(), entries_.end(), TlbEntry{}); }
    // For another address space: empty, and small again.
    void reset() {
        entries_.resize(kSmallest);
        misses_ = 0;
        clear();
    }
    // References and pointers to entries are void afterwards.
    void note_miss() {
        if (++misses_ > kMissesForEach * entries_.size() && entries_.size() < largest_) grow();
    }
    void grow_up_to(size_t entries) { largest_ = entries; }
    TlbEntry* data() { return entries_.data(); }
    size_t size() const { return entries_.size(); }
    void drop_page(uint64_t va) {
        TlbEntry& entry = slot(va);
        uint64_t page = va & kPageMask;
        // The tags of one entry belong to one page, or one of them is of none.
        if (entry.read_tag == page || entry.write_tag == page) entry = {};
    }
    // Makes every page that `holds` names by its guest physical address unwritable.
    template <class Holds>
    void drop_writes(Holds holds) {
        for (TlbEntry& entry : entries_) {
            if (entry.write_tag != kNoPage && holds(entry.physical)) entry.write_tag = kNoPage;
        }
    }

  private:
    static constexpr size_t kMissesForEach = 4;
    void grow() {
        misses_ = 0;
        std::vector<TlbEntry> old(2 * entries_.size());
        entries_.swap(old);
        for (const TlbEntry& entry : old) {
            uint64_t page = entry.read_tag != kNoPage ? entry.read_tag : entry.write_tag;
            if (page != kNoPage) slot(page) = entry;
        }
    }
    std::vector<TlbEntry> entries_;
    size_t misses_ = 0;
    size_t largest_ = kLargestInterpreted;
};

// The soft TLBs of the address spaces and modes that were used last.
class TlbPool {
  public:
    // Of the space with this number in this mode (0 to 3); valid until the next call.
    SoftTlb& select(uint32_t space, unsigned mode) {
        uint32_t key = space << 2 | mode;
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != key) continue;
            used_[i] = ++now_;
            return tables_[i];
        }
        size_t oldest = 0;
        for (size_t i = 1; i < kTables; i++) {
            if (used_[i] < used_[oldest]) oldest = i;
        }
        tables_[oldest].reset();
        keys_[oldest] = key;
        used_[oldest] = ++now_;
        return tables_[oldest];
    }
    void grow_up_to(size_t entries) {
        for (SoftTlb& table : tables_) table.grow_up_to(entries);
    }
    // From now on entries that a table loses to other pages are remembered, for code whose misses are frequent.
    void remember_lost() { lost_.resize(kLost); }
    // The entry of `va` that its table lost, or an empty one.
    TlbEntry lost_entry(uint32_t space, unsigned mode, uint64_t va) const {
        if (lost_.empty()) return {};
        const Lost& lost = lost_[lost_index(va)];
        bool same = lost.key == (space << 2 | mode) && lost.page == (va & kPageMask);
        return same ? lost.entry : TlbEntry{};
    }
    // `entry` is the newest of the page of `va`.
    void keep(uint32_t space, unsigned mode, uint64_t va, const TlbEntry& entry) {
        if (lost_.empty()) return;
        lost_[lost_index(va)] = {va & kPageMask, space << 2 | mode, entry};
    }
    void clear() {
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].clear();
        }
        std::fill(lost_.begin(), lost_.end(), Lost{});
    }
    void drop_page(uint64_t va) {
        if (!lost_.empty()) lost_[lost_index(va)] = {};
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].drop_page(va);
        }
    }
    template <class Holds>
    void drop_writes(Holds holds) {
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].drop_writes(holds);
        }
        for (Lost& lost : lost_) {
            if (lost.entry.write_tag != kNoPage && holds(lost.entry.physical)) lost.entry.write_tag = kNoPage;
        }
    }

  private:
    static constexpr size_t kTables = 8;
    static constexpr uint32_t kNoKey = ~uint32_t{0};
    // Behind the tables: a larger one for all of them, by virtual address.
    struct Lost {
        uint64_t page = kNoPage;
        uint32_t key = kNoKey;
        TlbEntry entry;
    };
    static constexpr size_t kLost = 1 << 14;
    static size_t lost_index(uint64_t va) { return (va >> 12 ^ va >> 26) & (kLost - 1); }

    static constexpr std::array<uint32_t, kTables> kNoKeys = [] {
        std::array<uint32_t, kTables> keys{};
        keys.fill(kNoKey);
        return keys;
    }();
    std::array<SoftTlb, kTables> tables_;
    std::vector<Lost> lost_;
    std::array<uint32_t, kTables> keys_ = kNoKeys;
    std::array<uint64_t, kTables> used_{};
    uint64_t now_ = 0;
};

// Which pages were cached since the last clear, approximately: never forgets one, may name too many.
template <unsigned kBits>
class PageFilter {
  public:
    void add(uint64_t number) { bits_[hash(number) / 64] |= uint64_t{1} << (hash(number) % 64); }
    bool may_contain(uint64_t number) const { return bits_[hash(number) / 64] >> (hash(number) % 64) & 1; }
    void clear() { bits_.fill(0); }

  private:
    static_assert(std::has_single_bit(kBits));
    static unsigned hash(uint64_t number) {
        return static_cast<unsigned>((number * 0x9e3779b97f4a7c15) >> (64 - std::countr_zero(kBits)));
    }
    std::array<uint64_t, kBits / 64> bits_{};
};

// Numbers for address spaces: satp values to 12-bit numbers, forgotten one by one (sfence.vma of an ASID) or all at
// once.
class AddressSpaces {
  public:
    // The number of `satp`; `overflowed` is set when the numbers ran out and all caches that hold numbers must be
    // cleared.
    uint32_t number_of(uint64_t satp, bool& overflowed) {
        for (const Space& space : spaces_) {
            if (space.number != kNoSpace && space.satp == satp) return space.number;
        }
        uint32_t number = next(overflowed);
        spaces_[oldest_] = {satp, number};
        oldest_ = (oldest_ + 1) % kept_;
        return number;
    }
    // The number for mappings that all address spaces have.
    uint32_t number_of_all(bool& overflowed) {
        if (all_ == kNoSpace) all_ = next(overflowed);
        return all_;
    }
    // From the beginning on.
    void keep_one() { kept_ = 1; }
    void forget(uint64_t asid) {
        for (Space& space : spaces_) {
            if ((space.satp >> 44 & 0xffff) == asid) space.number = kNoSpace;
        }
    }
    void forget_all() {
        spaces_.fill({});
        all_ = kNoSpace;
    }

  private:
    struct Space {
        uint64_t satp = 0;
        uint32_t number = kNoSpace;
    };
    uint32_t next(bool& overflowed) {
        if (next_ == 1u << kSpaceBits) {
            forget_all();
            next_ = 1;
            overflowed = true;
        }
        return next_++;
    }
    std::array<Space, 32> spaces_{};
    size_t kept_ = spaces_.size();
    uint32_t all_ = kNoSpace;
    size_t oldest_ = 0;
    uint32_t next_ = 1;
};

}  // namespace doppel::cpu::interpret
