#include "machine/cpu_quota.h"

#include <algorithm>
#include <ctime>

namespace doppel::machine {
namespace {

uint64_t processor_time() {
    constexpr uint64_t kSecond = 1'000'000'000;
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * kSecond + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

QuotaAccount::Look QuotaAccount::look(uint64_t now, uint64_t used) {
    // Longer than a minute is as good as a minute: nothing overflows.
    constexpr int64_t kLongest = 60'000'000'000, kSoonest = 1'000'000, kLatest = 50'000'000;
    const auto since = [&](uint64_t before, uint64_t after) {
        return after > before ? static_cast<int64_t>(std::min<uint64_t>(after - before, kLongest)) : 0;
    };
    credit_ = std::clamp(credit_ + earned(since(now_, now)) - since(used_, used), -kLongest, most());
    now_ = now;
    used_ = used;
    if (!limited()) return {false, now + kLatest};
    // Not at the first nanosecond: to stop and start harts costs something.
    const int64_t enough = most() / 5;
    holds_ = holds_ ? credit_ < enough : credit_ <= 0;
    const int64_t wait = holds_ ? (enough - credit_) / percent_ * 100 : credit_ / threads_;
    return {holds_, now + static_cast<uint64_t>(std::clamp(wait, kSoonest, kLatest))};
}

void CpuQuota::set(unsigned percent) {
    percent_ = percent;
    account_ = QuotaAccount(percent, threads_, loop_.clock().monotonic(), processor_time());
    look();
}

void CpuQuota::look() {
    const auto [hold, again] = account_.look(loop_.clock().monotonic(), processor_time());
    if (hold != pauses_.is(Pauses::Reason::kQuota)) {
        if (hold)
            pauses_.begin(Pauses::Reason::kQuota);
        else
            pauses_.end(Pauses::Reason::kQuota);
    }
    if (account_.limited()) timer_.arm(again);
}

}  // namespace doppel::machine
