#include "cpu/debug.h"

#include <algorithm>
#include <utility>

namespace doppel::cpu {

namespace {
constexpr uint64_t kPageOffset = 0xfff;
}

DebugPoints::DebugPoints(std::vector<uint64_t> breakpoints, std::vector<Watchpoint> watchpoints)
    : breakpoints_(std::move(breakpoints)), watchpoints_(std::move(watchpoints)) {
    std::ranges::sort(breakpoints_);
}

bool DebugPoints::breaks_at(uint64_t pc) const {
    return std::ranges::binary_search(breakpoints_, pc);
}

bool DebugPoints::breaks_in_page(uint64_t address) const {
    auto first = std::ranges::lower_bound(breakpoints_, address & ~kPageOffset);
    return first != breakpoints_.end() && *first <= (address | kPageOffset);
}

bool DebugPoints::watches_page(uint64_t address) const {
    return std::ranges::any_of(watchpoints_, [&](const Watchpoint& point) {
        return point.first <= (address | kPageOffset) && point.last >= (address & ~kPageOffset);
    });
}

std::optional<WatchHit> DebugPoints::hit(uint64_t address, unsigned bytes, bool writes) const {
    uint64_t last = address + (bytes - 1);
    if (last < address) last = ~uint64_t{0};  // what wraps to address 0 is not looked for there
    for (const Watchpoint& point : watchpoints_) {
        bool kind = writes ? point.writes : point.reads;
        if (kind && point.first <= last && point.last >= address)
            return WatchHit{point, std::max(address, point.first)};
    }
    return std::nullopt;
}

}  // namespace doppel::cpu
