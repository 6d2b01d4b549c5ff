#include "storage/throttle.h"

#include <algorithm>

namespace doppel::storage {

uint64_t Bucket::take(uint64_t amount, uint64_t now) {
    if (limit_.rate == 0) return now;
    constexpr double kSecond = 1e9;
    const auto rate = static_cast<double>(limit_.rate), burst = static_cast<double>(limit_.burst);
    if (now > seen_) level_ = std::max(0.0, level_ - static_cast<double>(now - seen_) / kSecond * rate);
    seen_ = std::max(seen_, now);
    const double over = std::max(0.0, level_ + std::min(static_cast<double>(amount), burst) - burst);
    level_ += static_cast<double>(amount);
    return now + static_cast<uint64_t>(over / rate * kSecond);
}

void ThrottleGate::set_limits(const ThrottleLimits& limits) {
    limits_ = limits;
    requests_ = Bucket(limits.requests);
    bytes_ = Bucket(limits.bytes);
    changes_++;
}

Task<Status> ThrottleGate::pass(uint64_t bytes) {
    const TaskLock::Guard guard = co_await turn_.hold();
    if (open()) co_return kOk;
    uint64_t now = io_.clock().monotonic();
    const uint64_t when = std::max(requests_.take(1, now), bytes_.take(bytes, now));
    const uint64_t changes = changes_;
    // Bit by bit, to see that the limits are gone.
    constexpr uint64_t kLongestSleep = 50'000'000;
    for (; limited_ && changes == changes_ && now < when; now = io_.clock().monotonic()) {
        const uint64_t deadline = std::min(when, now + kLongestSleep);
        co_await io_.sleep_until(deadline);
    }
    co_return kOk;
}

// An open gate costs no task.
Task<Status> Throttle::do_read(uint64_t offset, Buffers to) {
    return gate_->open() ? below().read(offset, to) : read_in_turn(offset, to);
}

Task<Status> Throttle::do_write(uint64_t offset, Buffers from) {
    return gate_->open() ? below().write(offset, from) : write_in_turn(offset, from);
}

Task<Status> Throttle::read_in_turn(uint64_t offset, Buffers to) {
    (void)co_await gate_->pass(to.size());
    co_return co_await below().read(offset, to);
}

Task<Status> Throttle::write_in_turn(uint64_t offset, Buffers from) {
    (void)co_await gate_->pass(from.size());
    co_return co_await below().write(offset, from);
}

// Zeroes are no bytes that pass.
Task<Status> Throttle::do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    (void)co_await gate_->pass(0);
    co_return co_await below().write_zeroes(offset, length, may_unmap);
}

Task<Status> Throttle::do_discard(uint64_t offset, uint64_t length) {
    (void)co_await gate_->pass(0);
    co_return co_await below().discard(offset, length);
}

}  // namespace doppel::storage
