// How long a machine that ended waits until it is started again.
#pragma once

#include <algorithm>
#include <cstdint>

namespace doppel::instance {

// 100 ms, then twice as long each time, a minute at most; from the beginning after a run of ten seconds.
class Backoff {
  public:
    static constexpr uint64_t kFirst = 100'000'000;       // nanoseconds
    static constexpr uint64_t kLongest = 60'000'000'000;  // nanoseconds
    static constexpr uint64_t kGoodRun = 10'000'000'000;  // nanoseconds

    // The delay after a run that lasted so long; both in nanoseconds.
    uint64_t next(uint64_t ran) {
        if (ran >= kGoodRun) delay_ = kFirst;
        const uint64_t now = delay_;
        delay_ = std::min(delay_ * 2, kLongest);
        return now;
    }

  private:
    uint64_t delay_ = kFirst;
};

}  // namespace doppel::instance
