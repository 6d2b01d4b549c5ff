// Why a machine's harts stand still, if they do, and the guest's clock with them.
#pragma once

#include <cstdint>

#include "device/timebase.h"
#include "machine/harts.h"

namespace doppel::machine {

// For the machine's thread. Several may want the guest to wait; it goes on when the last of them is content, and for it
// no time has passed, but for what it waited for its share of the host's processors and for devices that come or go.
class Pauses {
  public:
    enum class Reason : uint8_t { kUser = 1, kStorage = 2, kQuota = 4, kPlug = 8 };

    // Both outlive this.
    Pauses(Harts& harts, device::Timebase& timebase) : harts_(harts), timebase_(timebase) {}

    // When it returns no guest code runs.
    void begin(Reason reason) {
        const uint8_t before = reasons_;
        reasons_ |= static_cast<uint8_t>(reason);
        if (before == 0) harts_.pause();
        if (!stops_clock(before) && stops_clock(reasons_)) since_ = timebase_.now();
    }
    void end(Reason reason) {
        const uint8_t before = reasons_;
        reasons_ &= static_cast<uint8_t>(~static_cast<uint8_t>(reason));
        if (stops_clock(before) && !stops_clock(reasons_)) timebase_.set(since_);
        if (before != 0 && reasons_ == 0) harts_.resume();
    }
    bool is(Reason reason) const { return (reasons_ & static_cast<uint8_t>(reason)) != 0; }

  private:
    static bool stops_clock(uint8_t reasons) {
        return (reasons & (static_cast<uint8_t>(Reason::kUser) | static_cast<uint8_t>(Reason::kStorage))) != 0;
    }

    Harts& harts_;
    device::Timebase& timebase_;
    uint8_t reasons_ = 0;
    uint64_t since_ = 0;  // ticks of the timebase
};

}  // namespace doppel::machine
