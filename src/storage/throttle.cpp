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

Task<Status> Throttle::pass(uint64_t bytes) {
    const TaskLock::Guard guard = co_await turn_.hold();
    if (!limited_) co_return kOk;
    uint64_t now = io_.clock().monotonic();
    const uint64_t when = std::max(requests_.take(1, now), bytes_.take(bytes, now));
    // Bit by bit, to see that the limits are gone.
    constexpr uint64_t kLongestSleep = 50'000'000;
    for (; limited_ && now < when; now = io_.clock().monotonic()) {
        const uint64_t deadline = std::min(when, now + kLongestSleep);
        co_await io_.sleep_until(deadline);
    }
    co_return kOk;
}

Task<Status> Throttle::do_read(uint64_t offset, Buffers to) {
    DOPPEL_STORAGE_CHECK(co_await pass(to.size()));
    co_return co_await below().read(offset, to);
}

Task<Status> Throttle::do_write(uint64_t offset, Buffers from) {
    DOPPEL_STORAGE_CHECK(co_await pass(from.size()));
    co_return co_await below().write(offset, from);
}

// Zeroes are no bytes that pass.
Task<Status> Throttle::do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    DOPPEL_STORAGE_CHECK(co_await pass(0));
    co_return co_await below().write_zeroes(offset, length, may_unmap);
}

Task<Status> Throttle::do_discard(uint64_t offset, uint64_t length) {
    DOPPEL_STORAGE_CHECK(co_await pass(0));
    co_return co_await below().discard(offset, length);
}

}  // namespace doppel::storage
