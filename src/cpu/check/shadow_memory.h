// Guest memory for two runs over the same state: private copies of the pages that translated code uses, two of each.
//
// Two soft TLBs hold the same pages: that of translated code leads to one copy, that of the interpreter, which runs
// afterwards, to the other. So both see memory as it was at the same moment, whatever a device writes meanwhile; when
// they agree, `commit` writes to memory what the interpreter changed. Pages that are read are copied too, because
// translated code keeps a page's place for accesses that come later.
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
        Bytes written;      // by translated code
        Bytes interpreted;  // by the interpreter
        Bytes before;       // if is_writable
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
    // Lets both reach the page of `va` as `entry`, which names memory, permits. False: another page is in its slot, and
    // the interpreter would find memory itself for the one that gives way.
    bool map(uint64_t va, const interpret::TlbEntry& entry, bool writes);

    // f(page), for those that were mapped for writing.
    template <class F>
    void each_writable(F f) const {
        for (size_t i = 0; i < count_; i++) {
            if (pages_[i]->is_writable) f(std::as_const(*pages_[i]));
        }
    }

    void commit() const;

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
