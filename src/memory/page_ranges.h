// A set of page-aligned offset ranges, kept merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace doppel::memory {

// Not thread-safe. Ranges are [offset, offset + length), in bytes; they do not overflow.
class PageRanges {
  public:
    bool contains(uint64_t offset, uint64_t length) const;
    // Merges with what touches or overlaps.
    void insert(uint64_t offset, uint64_t length);
    void clear() { ends_.clear(); }
    // The number of separate ranges.
    size_t count() const { return ends_.size(); }

  private:
    std::map<uint64_t, uint64_t> ends_;  // start -> end
};

}  // namespace doppel::memory
