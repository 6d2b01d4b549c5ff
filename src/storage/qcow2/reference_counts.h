// How often each host cluster is referred to, counted from the tables.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

namespace doppel::storage::qcow2 {

// In pages, because tables may refer to a few clusters anywhere.
class ReferenceCounts {
  public:
    static constexpr uint64_t kPerPage = 64;
    using Page = std::array<uint32_t, kPerPage>;

    void add(uint64_t cluster, uint64_t times) {
        uint32_t& count = pages_[cluster / kPerPage][cluster % kPerPage];
        count = static_cast<uint32_t>(std::min<uint64_t>(UINT32_MAX, count + std::min<uint64_t>(times, UINT32_MAX)));
    }
    uint64_t get(uint64_t cluster) const {
        const auto page = pages_.find(cluster / kPerPage);
        return page == pages_.end() ? 0 : page->second[cluster % kPerPage];
    }
    // One more than the last that is referred to.
    uint64_t end() const {
        if (pages_.empty()) return 0;
        const auto& [number, page] = *pages_.rbegin();
        uint64_t last = kPerPage;
        while (last > 0 && page[last - 1] == 0) last--;
        return number * kPerPage + last;
    }
    const std::map<uint64_t, Page>& pages() const { return pages_; }

  private:
    std::map<uint64_t, Page> pages_;
};

}  // namespace doppel::storage::qcow2
