// A machine that keeps to a part of the host's processors by itself, where no cgroup does it: when its process has used
// what it may, its harts stand still until it may again. The guest's clock goes on.
#pragma once

#include <cstdint>

#include "base/event_loop.h"
#include "machine/pauses.h"

namespace doppel::machine {

// What was used against what may be used. Times are nanoseconds.
class QuotaAccount {
  public:
    // `percent` of one processor, 0: no limit; `threads` use processors at the same time, at most.
    QuotaAccount(unsigned percent, unsigned threads, uint64_t now, uint64_t used)
        : percent_(percent), threads_(threads), now_(now), used_(used), credit_(most()) {}

    struct Look {
        bool hold = false;   // nothing may run
        uint64_t again = 0;  // when to look again
    };
    // `used` is the process's processor time so far.
    Look look(uint64_t now, uint64_t used);

    bool limited() const { return percent_ != 0; }

  private:
    static constexpr int64_t kSpan = 50'000'000;  // what was not used is kept for so long
    int64_t earned(int64_t time) const { return time / 100 * percent_; }
    int64_t most() const { return earned(kSpan); }

    unsigned percent_, threads_;
    uint64_t now_, used_;
    int64_t credit_;
    bool holds_ = false;
};

// On the loop's thread.
class CpuQuota {
  public:
    // All outlive this.
    CpuQuota(EventLoop& loop, Pauses& pauses, unsigned threads)
        : loop_(loop), pauses_(pauses), threads_(threads), timer_(loop, [this] { look(); }) {}

    void set(unsigned percent);
    unsigned percent() const { return percent_; }

  private:
    void look();

    EventLoop& loop_;
    Pauses& pauses_;
    const unsigned threads_;
    unsigned percent_ = 0;
    QuotaAccount account_{0, 1, 0, 0};
    EventLoop::Timer timer_;
};

}  // namespace doppel::machine
