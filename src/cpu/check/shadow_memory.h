// Guest memory for a run of translated code that is not to count: what it writes goes to private copies of the pages.
//
// Two soft TLBs hold the same pages: in that of translated code, pages that may be written lead to the copies; in the
// interpreter's, which runs afterwards, they lead to memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/interpret/soft_tlb.h"
#include "isa/riscv/hart.h"

namespace doppel::cpu::check {

class ShadowMemory {
  public:
    using Bytes = std::array<uint8_t, isa::riscv::kPageBytes>;
    struct alignas(64) Page {
        Bytes written;  // by translated code
        Bytes before;
        uint8_t* memory = nullptr;
        uint64_t physical = 0;
    };

    interpret::SoftTlb& translated() { return translated_; }
    interpret::SoftTlb& interpreted() { return interpreted_; }

    // Forgets all pages.
    void clear();
    // Forgets addresses alone.
    void drop_addresses();
    // Lets translated code reach the page of `va` as `entry`, which names memory, permits.
    void map(uint64_t va, const interpret::TlbEntry& entry, bool writes);

    // Those that were mapped for writing.
    size_t count() const { return count_; }
    Page& page(size_t index) { return *pages_[index]; }
    // Memory of all pages becomes as before.
    void undo();

    // The guest physical addresses of pages that the interpreter has made write entries for, and translated code has
    // not. The interpreter's soft TLB is empty then.
    std::vector<uint64_t> take_written_by_interpreter_alone();

  private:
    using TlbEntry = interpret::TlbEntry;

    Page* find(uint64_t physical);
    Page& copy(uint64_t physical, uint8_t* memory);

    interpret::SoftTlb translated_, interpreted_;
    std::vector<uint64_t> used_;                // an address for each used slot
    std::vector<std::unique_ptr<Page>> pages_;  // those behind `count_` are spare
    size_t count_ = 0;
};

}  // namespace doppel::cpu::check
