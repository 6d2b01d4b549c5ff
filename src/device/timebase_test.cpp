#include "device/timebase.h"

#include <gtest/gtest.h>

#include <limits>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(Timebase, CountsTenMillionTicksASecondFromZero) {
    ManualClock clock;
    clock.advance(123'456'789);
    Timebase timebase(clock);
    EXPECT_EQ(timebase.now(), 0u);
    clock.advance(1'000'000'000);
    EXPECT_EQ(timebase.now(), 10'000'000u);
}

TEST(Timebase, GoesOnFromWhereItIsSetAndWraps) {
    ManualClock clock;
    Timebase timebase(clock);
    timebase.set(kMax);
    EXPECT_EQ(timebase.now(), kMax);
    clock.advance(100);
    EXPECT_EQ(timebase.now(), 0u);
}

TEST(Timebase, NamesTheFirstNanosecondOfATick) {
    ManualClock clock;
    clock.advance(1'050);
    Timebase timebase(clock);
    auto deadline = timebase.nanoseconds_at(7, timebase.now());
    ASSERT_TRUE(deadline);
    clock.advance(*deadline - 1 - clock.monotonic());
    EXPECT_EQ(timebase.now(), 6u);
    clock.advance(1);
    EXPECT_EQ(timebase.now(), 7u);
}

TEST(Timebase, NamesTheTickAfterAWrap) {
    ManualClock clock;
    Timebase timebase(clock);
    timebase.set(kMax - 1);
    auto deadline = timebase.nanoseconds_at(3, timebase.now());
    EXPECT_EQ(deadline, 500u);
}

TEST(Timebase, KnowsNoNanosecondBeyondTheClocksRange) {
    ManualClock clock;
    Timebase timebase(clock);
    EXPECT_EQ(timebase.nanoseconds_at(kMax, 0), std::nullopt);
    EXPECT_EQ(timebase.nanoseconds_at(kMax / 100 + 1, 0), std::nullopt);
    EXPECT_EQ(timebase.nanoseconds_at(kMax / 100, 0), kMax / 100 * 100);
    clock.advance(1000);
    EXPECT_EQ(timebase.nanoseconds_at(kMax / 100 + 1, timebase.now()), std::nullopt);
}

TEST(Timebase, GoesOnAfterARestoreOnAHostWithAnotherClock) {
    ManualClock clock;
    Timebase timebase(clock);
    clock.advance(5'000'000);
    auto document = saved(timebase);
    ManualClock other;
    other.advance(77);
    Timebase restored(other);
    ASSERT_TRUE(restore(restored, document));
    EXPECT_EQ(restored.now(), 50'000u);
    other.advance(123);
    EXPECT_EQ(restored.now(), 50'002u);
}

TEST(Timebase, TellsItsListenersOfEveryJump) {
    ManualClock clock;
    Timebase timebase(clock);
    int jumps = 0;
    timebase.on_jump([&] { jumps++; });
    timebase.set(5);
    EXPECT_EQ(jumps, 1);
    ASSERT_TRUE(restore(timebase, saved(timebase)));
    EXPECT_EQ(jumps, 2);
}

}  // namespace
}  // namespace doppel::device
