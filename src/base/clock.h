// Time as devices and vCPUs see it: nanoseconds, injectable so that tests own it.
#pragma once

#include <atomic>
#include <cstdint>

namespace doppel {

// Thread-safe. Both values are nanoseconds.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual uint64_t monotonic() const = 0;  // since an arbitrary start, never goes backwards
    virtual uint64_t realtime() const = 0;   // since 1970-01-01 UTC, may be set
};

// The host's CLOCK_MONOTONIC and CLOCK_REALTIME.
const Clock& host_clock();

// A clock that stands still until told.
class ManualClock final : public Clock {
  public:
    uint64_t monotonic() const override { return monotonic_; }
    uint64_t realtime() const override { return realtime_; }
    void advance(uint64_t nanoseconds) {
        monotonic_ += nanoseconds;
        realtime_ += nanoseconds;
    }
    void set_realtime(uint64_t nanoseconds) { realtime_ = nanoseconds; }

  private:
    std::atomic<uint64_t> monotonic_ = 0;
    std::atomic<uint64_t> realtime_ = 0;
};

}  // namespace doppel
