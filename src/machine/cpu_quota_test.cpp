#include "machine/cpu_quota.h"

#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// A process whose `threads` run whenever they may: what it has used of ten seconds.
uint64_t used_in_ten_seconds(unsigned percent, unsigned threads) {
    uint64_t now = 5 * kSecond, used = 3 * kSecond;
    const uint64_t end = now + 10 * kSecond, before = used;
    QuotaAccount account(percent, threads, now, used);
    while (now < end) {
        const auto look = account.look(now, used);
        EXPECT_GT(look.again, now);
        if (!look.hold) used += threads * (look.again - now);
        now = look.again;
    }
    return used - before;
}

TEST(CpuQuota, AllowsWhatItSaysInTheLongRun) {
    for (const unsigned percent : {1u, 10u, 50u, 100u, 150u, 390u}) {
        const auto allowed = static_cast<double>(percent) / 100 * 10 * kSecond;
        EXPECT_NEAR(static_cast<double>(used_in_ten_seconds(percent, 4)), allowed, allowed * 0.05 + 1e8) << percent;
    }
}

TEST(CpuQuota, NeverHoldsWhoStaysBelow) {
    EXPECT_EQ(used_in_ten_seconds(200, 2) / kSecond, 10 * 2u);
    EXPECT_EQ(used_in_ten_seconds(0, 3) / kSecond, 10 * 3u);
}

TEST(CpuQuota, WhatWasNotUsedIsNotKeptForLong) {
    QuotaAccount account(100, 4, 0, 0);
    account.look(100 * kSecond, 0);
    EXPECT_TRUE(account.look(100 * kSecond + kSecond / 10, 4 * kSecond / 10).hold);
}

TEST(CpuQuota, WhatWasUsedTooMuchIsPaidOff) {
    QuotaAccount account(50, 1, 0, 0);
    EXPECT_TRUE(account.look(kSecond, 2 * kSecond).hold);
    EXPECT_TRUE(account.look(3 * kSecond, 2 * kSecond).hold);
    EXPECT_FALSE(account.look(5 * kSecond, 2 * kSecond).hold);
}

}  // namespace
}  // namespace doppel::machine
