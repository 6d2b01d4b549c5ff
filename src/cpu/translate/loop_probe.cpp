#include "cpu/translate/loop_probe.h"

#include <bit>
#include <utility>

#include "memory/guest_memory.h"

namespace doppel::cpu::translate {

std::optional<LoopProbe::Loop> LoopProbe::note(uint64_t physical, uint64_t key) {
    if (is_open_) {
        constexpr uint64_t kPageMask = ~(memory::kPageSize - 1);
        is_open_ = (physical & kPageMask) == (physical_ & kPageMask);
        if (!is_open_) return std::nullopt;
        visited_.push_back(static_cast<uint16_t>(physical % memory::kPageSize));
        if (visited_.size() < kSteps.size()) return std::nullopt;
        is_open_ = false;
        return Loop{physical_, std::exchange(visited_, {})};
    }
    Sample& found = samples_[(key ^ key >> 10) % kSamples];
    if (found.key != key) found = {key, 0};
    found.count++;
    // What did not last is tried again, ever more rarely.
    is_open_ = found.count >= kHot && std::has_single_bit(found.count);
    physical_ = physical;
    visited_.clear();
    return std::nullopt;
}

void LoopProbe::forget() {
    samples_.fill({});
    end();
}

}  // namespace doppel::cpu::translate
