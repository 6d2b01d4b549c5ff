// Builds page tables in guest memory for tests.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "isa/riscv/hart.h"
#include "memory/guest_memory.h"

namespace doppel::isa::riscv {

namespace pte {
inline constexpr uint64_t kV = 1, kR = 2, kW = 4, kX = 8, kU = 16, kG = 32, kA = 64, kD = 128;
inline constexpr uint64_t kPbmtNc = uint64_t{1} << 61, kPbmtIo = uint64_t{2} << 61, kPbmtReserved = uint64_t{3} << 61;
inline constexpr uint64_t kNapot = uint64_t{1} << 63;
inline constexpr uint64_t kRead = kV | kR | kA, kReadWrite = kV | kR | kW | kA | kD, kAll = kReadWrite | kX;

constexpr uint64_t leaf(uint64_t physical, uint64_t flags) {
    return physical >> 12 << 10 | flags;
}
}  // namespace pte

// The root lies at `area`, further tables behind it, a page each.
class TestPageTables {
  public:
    TestPageTables(memory::GuestMemory& memory, uint64_t area, unsigned levels = 3)
        : memory_(memory), root_(area), next_(area), levels_(levels) {
        new_table();
    }

    uint64_t satp(uint64_t asid = 0) const {
        constexpr uint64_t kSv39 = 8, kSv39Levels = 3;
        return (kSv39 + levels_ - kSv39Levels) << 60 | asid << 44 | root_ >> 12;
    }
    // The guest physical address of the entry for `va` in a table of `level` (0: 4 KiB pages); makes the tables above.
    uint64_t slot(uint64_t va, unsigned level = 0) {
        uint64_t table = root_;
        for (unsigned at = levels_ - 1;; at--) {
            uint64_t address = table + (va >> (12 + 9 * at) & 0x1ff) * 8;
            if (at == level) return address;
            uint64_t entry = *memory_.load<uint64_t>(address);
            if (!(entry & pte::kV)) {
                entry = pte::leaf(new_table(), pte::kV);
                put(address, entry);
            }
            table = entry >> 10 << 12;
        }
    }
    uint64_t entry(uint64_t va, unsigned level = 0) { return *memory_.load<uint64_t>(slot(va, level)); }
    void set_entry(uint64_t va, uint64_t entry, unsigned level = 0) { put(slot(va, level), entry); }
    void map(uint64_t va, uint64_t physical, uint64_t flags, unsigned level = 0) {
        set_entry(va, pte::leaf(physical, flags), level);
    }

  private:
    uint64_t new_table() {
        uint64_t table = next_;
        next_ += kPageBytes;
        if (!memory_.fill(table, kPageBytes, 0)) throw std::logic_error("the page tables lie outside memory");
        return table;
    }
    void put(uint64_t address, uint64_t entry) {
        if (!memory_.store(address, entry)) throw std::logic_error("the page tables lie outside memory");
    }

    memory::GuestMemory& memory_;
    uint64_t root_;
    uint64_t next_;
    unsigned levels_;
};

}  // namespace doppel::isa::riscv
