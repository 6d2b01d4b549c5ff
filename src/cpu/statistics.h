// Counts that engines keep of their work, by name: what there is to count is each engine's own affair.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::cpu {

class Statistics {
  public:
    // Counts under one name are summed. `name` lives as long as the program, is in snake_case, and ends in _bytes or
    // _nanoseconds when that is what it counts. docs/translator.md says what each means.
    void add(std::string_view name, uint64_t count) {
        auto found = std::ranges::find(counts_, name, &Count::first);
        if (found == counts_.end()) {
            counts_.emplace_back(name, count);
        } else {
            found->second += count;
        }
    }
    // 0 when nobody counts it.
    uint64_t count(std::string_view name) const {
        auto found = std::ranges::find(counts_, name, &Count::first);
        return found == counts_.end() ? 0 : found->second;
    }
    // In the order of their first mention.
    const auto& counts() const { return counts_; }

  private:
    using Count = std::pair<std::string_view, uint64_t>;
    std::vector<Count> counts_;
};

}  // namespace doppel::cpu
