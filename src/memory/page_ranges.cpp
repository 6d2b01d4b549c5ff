#include "memory/page_ranges.h"

#include <algorithm>
#include <iterator>

namespace doppel::memory {

bool PageRanges::contains(uint64_t offset, uint64_t length) const {
    auto after = ends_.upper_bound(offset);
    if (after == ends_.begin()) return false;
    return std::prev(after)->second >= offset + length;
}

void PageRanges::insert(uint64_t offset, uint64_t length) {
    if (length == 0) return;
    uint64_t end = offset + length;
    auto at = ends_.upper_bound(offset);
    if (at != ends_.begin() && std::prev(at)->second >= offset) --at;
    while (at != ends_.end() && at->first <= end) {
        offset = std::min(offset, at->first);
        end = std::max(end, at->second);
        at = ends_.erase(at);
    }
    ends_.emplace(offset, end);
}

}  // namespace doppel::memory
