// The soft TLB: from a virtual page to host memory in a few instructions, per privilege and address space.
//
// Each address space and mode has a table of its own, out of a small pool, so that a context switch needs no flush. An
// entry's tag is the page's address. An access of n bytes at `va` is looked up in the slot of va's page, by the page of
// its last byte: one that crosses a page never matches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace doppel::cpu::interpret {

inline constexpr uint64_t kPageMask = ~uint64_t{0xfff};
inline constexpr unsigned kSpaceBits = 12;
inline constexpr uint32_t kNoSpace = 0;  // no address space has this number, so a cleared entry matches nothing

inline constexpr uint64_t kNoPage = 1;  // a tag that no page has

// Translated code knows this form.
struct TlbEntry {
    uint64_t read_tag = kNoPage;
    uint64_t write_tag = kNoPage;
    uint64_t offset = 0;  // host address minus virtual address
    uint64_t physical = 0;  // the page's guest physical address
};
static_assert(sizeof(TlbEntry) == 32);

class SoftTlb {
  public:
    static constexpr unsigned kEntries = 1024;

    TlbEntry& slot(uint64_t va) { return entries_[(va >> 12) & (kEntries - 1)]; }
    void clear() { entries_.fill({}); }
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
    std::array<TlbEntry, kEntries> entries_{};
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
        tables_[oldest].clear();
        keys_[oldest] = key;
        used_[oldest] = ++now_;
        return tables_[oldest];
    }
    void clear() {
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].clear();
        }
    }
    void drop_page(uint64_t va) {
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].drop_page(va);
        }
    }
    template <class Holds>
    void drop_writes(Holds holds) {
        for (size_t i = 0; i < kTables; i++) {
            if (keys_[i] != kNoKey) tables_[i].drop_writes(holds);
        }
    }

  private:
    static constexpr size_t kTables = 8;
    static constexpr uint32_t kNoKey = ~uint32_t{0};
    static constexpr std::array<uint32_t, kTables> kNoKeys = [] {
        std::array<uint32_t, kTables> keys{};
        keys.fill(kNoKey);
        return keys;
    }();
    std::array<SoftTlb, kTables> tables_;
    std::array<uint32_t, kTables> keys_ = kNoKeys;
    std::array<uint64_t, kTables> used_{};
    uint64_t now_ = 0;
};

// Which pages were cached since the last clear, approximately: never forgets one, may name too many.
class PageFilter {
  public:
    void add(uint64_t number) { bits_[hash(number) / 64] |= uint64_t{1} << (hash(number) % 64); }
    bool may_contain(uint64_t number) const { return bits_[hash(number) / 64] >> (hash(number) % 64) & 1; }
    void clear() { bits_.fill(0); }

  private:
    static constexpr unsigned kBits = 4096;
    static unsigned hash(uint64_t number) { return static_cast<unsigned>((number * 0x9e3779b97f4a7c15) >> 52); }
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
        if (next_ == 1u << kSpaceBits) {
            forget_all();
            next_ = 1;
            overflowed = true;
        }
        spaces_[oldest_] = {satp, next_};
        oldest_ = (oldest_ + 1) % spaces_.size();
        return next_++;
    }
    void forget(uint64_t asid) {
        for (Space& space : spaces_) {
            if ((space.satp >> 44 & 0xffff) == asid) space.number = kNoSpace;
        }
    }
    void forget_all() { spaces_.fill({}); }

  private:
    struct Space {
        uint64_t satp = 0;
        uint32_t number = kNoSpace;
    };
    std::array<Space, 32> spaces_{};
    size_t oldest_ = 0;
    uint32_t next_ = 1;
};

}  // namespace doppel::cpu::interpret
