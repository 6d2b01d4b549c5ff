// A disk that is only so fast: requests and bytes a second, with bursts.
#pragma once

#include <cstdint>
#include <memory>

#include "storage/block_device.h"
#include "storage/io_context.h"
#include "storage/waiting.h"

namespace doppel::storage {

// What may pass: `rate` a second in the long run, `burst` at once after a rest. A rate of 0 is no limit.
struct Limit {
    uint64_t rate = 0;
    uint64_t burst = 0;  // 0: what a tenth of a second brings, at least one request
};

// A leaky bucket: says when the next may pass. Not more is asked than fits one request, which may be larger than a
// burst and is paid off afterwards.
class Bucket {
  public:
    explicit Bucket(const Limit& limit) : limit_(limit) {
        if (limit_.burst == 0) limit_.burst = limit_.rate / 10 + 1;
    }
    // Nanoseconds, of the clock that `now` is of: `now` if it may pass at once. Takes `amount`.
    uint64_t take(uint64_t amount, uint64_t now);

  private:
    Limit limit_;
    double level_ = 0;  // what passed and is not paid off
    uint64_t seen_ = 0;
};

struct ThrottleLimits {
    Limit requests, bytes;
};

// What all disks that share it may do together. Belongs to the disks' thread.
class ThrottleGate {
  public:
    ThrottleGate(IoContext& io, const ThrottleLimits& limits) : io_(io) { set_limits(limits); }

    // From now on; what waits is let through.
    void set_limits(const ThrottleLimits& limits);
    // Without limits nothing waits, what waits already included: for the end of a machine that has much to do.
    void set_limited(bool limited) { limited_ = limited; }
    bool open() const { return !limited_ || (limits_.requests.rate == 0 && limits_.bytes.rate == 0); }
    Task<Status> pass(uint64_t bytes);  // waits for its turn; always kOk

  private:
    IoContext& io_;
    ThrottleLimits limits_;
    Bucket requests_{{}}, bytes_{{}};
    uint64_t changes_ = 0;
    TaskLock turn_;  // in the order of asking
    bool limited_ = true;
};

// Reads, writes, zeroes and discards count; a flush passes.
class Throttle : public Filter {
  public:
    Throttle(IoContext& io, std::unique_ptr<BlockDevice> below, const ThrottleLimits& limits)
        : Throttle(std::move(below), std::make_shared<ThrottleGate>(io, limits)) {}
    Throttle(std::unique_ptr<BlockDevice> below, std::shared_ptr<ThrottleGate> gate)
        : Filter(std::move(below)), gate_(std::move(gate)) {}

    void set_limited(bool limited) { gate_->set_limited(limited); }

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override;
    Task<Status> do_write(uint64_t offset, Buffers from) override;
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
    Task<Status> do_discard(uint64_t offset, uint64_t length) override;

  private:
    Task<Status> read_in_turn(uint64_t offset, Buffers to);
    Task<Status> write_in_turn(uint64_t offset, Buffers from);

    std::shared_ptr<ThrottleGate> gate_;
};

}  // namespace doppel::storage
