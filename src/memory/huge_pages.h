// Gives memory that is in use the host's huge pages. The kernel does so by itself for anonymous memory only, and guest
// memory is a memfd: with pages of 4 KiB, 2 MiB of it take 512 page faults, and accesses all over it miss the host's
// TLB.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/result.h"

namespace doppel::memory {

inline constexpr uint64_t kHugePageSize = uint64_t{2} << 20;

// Of one mapping. Thread-safe.
class HugePages {
  public:
    HugePages() = default;
    // `host` is a multiple of kHugePageSize, unless the memory is to stay as it is; `size` in bytes.
    static Result<HugePages> create(uint8_t* host, uint64_t size);

    // `pages` more of the 4-KiB pages around `offset`, all within one huge page, are in use. When an eighth is, the
    // rest becomes so as well, which takes the calling thread half a millisecond.
    void note_used(uint64_t offset, unsigned pages) const;
    // What lies wholly in the range is about to be given back: none of it is in use.
    void note_discarded(uint64_t offset, uint64_t length) const;
    // Nothing is done any more: what is mapped there is no longer shared memory.
    void stop() const { stopped_->store(true, std::memory_order_relaxed); }

  private:
    uint8_t* host_ = nullptr;
    uint64_t count_ = 0;  // whole huge pages
    std::unique_ptr<std::atomic<uint16_t>[]> used_;
    std::unique_ptr<std::atomic<bool>> stopped_;
    std::unique_ptr<std::atomic<int>> failures_;  // before the first success; then negative
};

}  // namespace doppel::memory
