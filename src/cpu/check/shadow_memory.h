// Guest memory for a run of translated code that is not to count: private copies of the pages that it uses.
//
// Two soft TLBs hold the same pages: that of translated code leads to the copies, that of the interpreter, which runs
// afterwards, to memory. Pages that are read are copied too, because translated code keeps a page's place for accesses
// that come later.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cpu/interpret/soft_tlb.h"
#include "isa/riscv/hart.h"

namespace doppel::cpu::check {

class ShadowMemory {
  public:
    using Bytes = std::array<uint8_t, isa::riscv::kPageBytes>;
    struct alignas(64) Page {
        Bytes written;  // by translated code
        Bytes before;   // if is_writable
        uint8_t* memory = nullptr;
        uint64_t physical = 0;
        bool is_writable = false;
    };

    interpret::SoftTlb& translated() { return translated_; }
    interpret::SoftTlb& interpreted() { return interpreted_; }

    // Forgets all pages.
    void clear();
    // Forgets addresses alone.
    void drop_addresses();
    // Lets translated code reach the page of `va` as `entry`, which names memory, permits.
    void map(uint64_t va, const interpret::TlbEntry& entry, bool writes);

    // f(page), for those that were mapped for writing.
    template <class F>
    void each_writable(F f) const {
        for (size_t i = 0; i < count_; i++) {
            if (pages_[i]->is_writable) f(std::as_const(*pages_[i]));
        }
    }

    // The guest physical addresses of pages that the interpreter has made write entries for, and translated code has
    // not. The interpreter's soft TLB is empty then.
    std::vector<uint64_t> take_written_by_interpreter_alone();

  private:
    using TlbEntry = interpret::TlbEntry;

    Page* find(uint64_t physical) const;
    Page& copy(uint64_t physical, uint8_t* memory);

    interpret::SoftTlb translated_, interpreted_;
    std::vector<uint64_t> used_;                // an address for each used slot
    std::vector<std::unique_ptr<Page>> pages_;  // those behind `count_` are spare
    size_t count_ = 0;
};

}  // namespace doppel::cpu::check
