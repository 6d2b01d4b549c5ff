#include "base/clock.h"

#include <ctime>

namespace doppel {

namespace {

uint64_t read_clock(clockid_t id) {
    timespec now{};
    ::clock_gettime(id, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

class HostClock final : public Clock {
  public:
    uint64_t monotonic() const override { return read_clock(CLOCK_MONOTONIC); }
    uint64_t realtime() const override { return read_clock(CLOCK_REALTIME); }
};

}  // namespace

const Clock& host_clock() {
    static const HostClock clock;
    return clock;
}

}  // namespace doppel
