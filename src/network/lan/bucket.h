// A limit in time: `rate` a second, and `burst` at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace doppel::network::lan {

// What costs more than there is goes through all the same, once, and is paid for later. Times are nanoseconds.
class Bucket {
  public:
    // 0: no limit.
    Bucket(uint64_t rate, uint64_t burst)
        : rate_(static_cast<double>(rate)), burst_(static_cast<double>(burst)), credit_(burst_) {}

    bool open(uint64_t now) {
        refill(now);
        return rate_ == 0 || credit_ > 0;
    }
    void take(uint64_t cost) { credit_ -= static_cast<double>(cost); }
    // When it is open again, after `open` said no.
    uint64_t opens(uint64_t now) const {
        return now + 1 + static_cast<uint64_t>(std::max(0.0, -credit_) / rate_ * kSecond);
    }

  private:
    static constexpr double kSecond = 1e9;
    void refill(uint64_t now) {
        if (now > filled_) credit_ = std::min(burst_, credit_ + static_cast<double>(now - filled_) * rate_ / kSecond);
        filled_ = std::max(filled_, now);
    }

    double rate_, burst_, credit_;
    uint64_t filled_ = 0;
};

}  // namespace doppel::network::lan
