#include "device/aclint.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kCompare = 0x4000;
constexpr uint64_t kTime = 0xbff8;
constexpr uint32_t kSoftware = 100, kTimer = 200;

class ClintTest : public testing::Test {
  protected:
    static std::vector<Clint::HartLines> harts(RecordedLines& lines, uint32_t count) {
        std::vector<Clint::HartLines> result;
        for (uint32_t hart = 0; hart < count; hart++) {
            result.push_back({lines.line(kSoftware + hart), lines.line(kTimer + hart)});
        }
        return result;
    }
    void pass(uint64_t ticks) {
        clock.advance(ticks * Timebase::kNanosecondsPerTick);
        loop->run_ready();
    }

    ManualClock clock;
    std::unique_ptr<EventLoop> loop = EventLoop::create(clock).value();
    Timebase timebase{clock};
    RecordedLines lines;
    Clint clint{timebase, *loop, harts(lines, 4)};
};

TEST_F(ClintTest, DrivesTheSoftwareInterruptOfOneHart) {
    clint.write(8, 4, 0xffffffff);
    EXPECT_EQ(clint.read(8, 4), 1u);
    EXPECT_TRUE(lines.level(kSoftware + 2));
    EXPECT_FALSE(lines.level(kSoftware + 1));
    clint.write(8, 4, 0xfffffffe);
    EXPECT_EQ(clint.read(8, 4), 0u);
    EXPECT_FALSE(lines.level(kSoftware + 2));
}

TEST_F(ClintTest, ReadsTheTimeWholeAndInHalves) {
    clint.write(kTime, 8, 0x1'23456789);
    EXPECT_EQ(clint.read(kTime, 8), 0x1'23456789u);
    EXPECT_EQ(clint.read(kTime, 4), 0x23456789u);
    EXPECT_EQ(clint.read(kTime + 4, 4), 1u);
    clint.write(kTime + 4, 4, 7);
    clint.write(kTime, 4, 9);
    EXPECT_EQ(clint.read(kTime, 8), 0x7'00000009u);
    EXPECT_EQ(timebase.now(), 0x7'00000009u);
}

TEST_F(ClintTest, RaisesTheTimerExactlyAtItsTickAndNotBefore) {
    clint.write(kCompare + 8, 8, 1000);
    pass(999);
    EXPECT_FALSE(lines.level(kTimer + 1));
    pass(1);
    EXPECT_TRUE(lines.level(kTimer + 1));
    EXPECT_FALSE(lines.level(kTimer + 0));
}

TEST_F(ClintTest, LowersTheTimerAtOnceWhenTheComparatorMovesIntoTheFuture) {
    clint.write(kCompare, 8, 0);
    EXPECT_TRUE(lines.level(kTimer));
    clint.write(kCompare, 8, 10);
    EXPECT_FALSE(lines.level(kTimer));
    pass(10);
    EXPECT_TRUE(lines.level(kTimer));
}

TEST_F(ClintTest, WritesTheComparatorInHalvesAsAnRv32GuestDoes) {
    clint.write(kCompare, 4, 0xffffffff);
    clint.write(kCompare + 4, 4, 0);
    clint.write(kCompare, 4, 500);
    EXPECT_EQ(clint.read(kCompare, 8), 500u);
    EXPECT_EQ(clint.read(kCompare + 4, 4), 0u);
    EXPECT_FALSE(lines.level(kTimer));
    pass(500);
    EXPECT_TRUE(lines.level(kTimer));
}

TEST_F(ClintTest, NeverRaisesForTheGreatestComparatorUntilTheTimeIsThere) {
    clint.write(kCompare, 8, kMax);
    pass(1'000'000);
    EXPECT_FALSE(lines.level(kTimer));
    clint.write(kTime, 8, kMax);
    EXPECT_TRUE(lines.level(kTimer));
}

TEST_F(ClintTest, LowersTheTimerWhenTheTimeWraps) {
    clint.write(kCompare, 8, kMax - 1);
    clint.write(kTime, 8, kMax - 2);
    EXPECT_FALSE(lines.level(kTimer));
    pass(1);
    EXPECT_TRUE(lines.level(kTimer));
    pass(1);
    EXPECT_TRUE(lines.level(kTimer));
    pass(1);
    EXPECT_FALSE(lines.level(kTimer));
}

TEST_F(ClintTest, LooksAtEveryComparatorWhenTheTimeIsSet) {
    clint.write(kCompare + 16, 8, 5000);
    clint.write(kCompare + 24, 8, 6000);
    clint.write(kTime, 8, 5500);
    EXPECT_TRUE(lines.level(kTimer + 2));
    EXPECT_FALSE(lines.level(kTimer + 3));
    clint.write(kTime, 8, 0);
    EXPECT_FALSE(lines.level(kTimer + 2));
    pass(6000);
    EXPECT_TRUE(lines.level(kTimer + 2));
    EXPECT_TRUE(lines.level(kTimer + 3));
}

TEST_F(ClintTest, HasNoRegistersForHartsThatDoNotExist) {
    int told = lines.told();
    clint.write(16, 4, 1);
    clint.write(kCompare + 32, 8, 0);
    clint.write(kTime + 8, 8, 5);
    clint.write(0xfffc, 8, 5);
    EXPECT_EQ(lines.told(), told);
    EXPECT_EQ(clint.read(16, 4), 0u);
    EXPECT_EQ(clint.read(kCompare + 32, 8), 0u);
    EXPECT_EQ(clint.read(kTime - 8, 8), 0u);
    EXPECT_EQ(clint.read(kTime + 8, 8), 0u);
}

TEST_F(ClintTest, SplitsALongAccessToTwoSoftwareInterrupts) {
    clint.write(0, 8, 0x1'00000001);
    EXPECT_TRUE(lines.level(kSoftware));
    EXPECT_TRUE(lines.level(kSoftware + 1));
    EXPECT_EQ(clint.read(0, 8), 0x1'00000001u);
}

TEST_F(ClintTest, IgnoresBytesAndMisalignedWords) {
    clint.write(0, 1, 1);
    clint.write(2, 4, 1);
    EXPECT_EQ(clint.read(0, 4), 0u);
    EXPECT_EQ(clint.read(kCompare, 2), 0u);
    EXPECT_EQ(clint.read(kCompare + 2, 4), 0u);
}

TEST_F(ClintTest, ResetsTheTimeAndQuietsEveryLine) {
    clint.write(0, 4, 1);
    clint.write(kCompare, 8, 0);
    pass(77);
    clint.reset();
    EXPECT_FALSE(lines.level(kSoftware));
    EXPECT_FALSE(lines.level(kTimer));
    EXPECT_EQ(clint.read(kTime, 8), 0u);
}

TEST_F(ClintTest, RestoresLevelsAndRunningTimers) {
    clint.write(4, 4, 1);
    clint.write(kCompare, 8, 0);
    clint.write(kCompare + 8, 8, 300);
    pass(100);
    auto time_document = saved(timebase);
    auto document = saved(clint);

    RecordedLines other_lines;
    Timebase other_time(clock);
    Clint other{other_time, *loop, harts(other_lines, 4)};
    ASSERT_TRUE(restore(other_time, time_document));
    ASSERT_TRUE(restore(other, document));
    EXPECT_TRUE(other_lines.level(kSoftware + 1));
    EXPECT_TRUE(other_lines.level(kTimer));
    pass(199);
    EXPECT_FALSE(other_lines.level(kTimer + 1));
    pass(1);
    EXPECT_TRUE(other_lines.level(kTimer + 1));
    EXPECT_EQ(saved(other), document);
}

TEST_F(ClintTest, RefusesTheStateOfAnotherNumberOfHarts) {
    clint.write(0, 4, 1);
    auto before = saved(clint);
    RecordedLines other_lines;
    Clint other{timebase, *loop, harts(other_lines, 3)};
    EXPECT_FALSE(restore(clint, saved(other)));
    EXPECT_EQ(saved(clint), before);
    StateWriter writer;
    writer.field(1, std::vector<uint8_t>{0, 0, 2, 0});
    EXPECT_FALSE(restore(clint, writer.finish()));
    EXPECT_EQ(saved(clint), before);
}

TEST(Sswi, SendsAnEdgeToOneHart) {
    RecordedLines lines;
    Sswi sswi({lines.line(0), lines.line(1)});
    sswi.write(4, 4, 1);
    sswi.write(4, 4, 1);
    EXPECT_EQ(lines.edges(1), 2);
    EXPECT_EQ(lines.edges(0), 0);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(sswi.read(4, 4), 0u);
}

TEST(Sswi, IgnoresZeroMissingHartsAndOtherWidths) {
    RecordedLines lines;
    Sswi sswi({lines.line(0), lines.line(1)});
    sswi.write(0, 4, 0);
    sswi.write(8, 4, 1);
    sswi.write(0, 8, 1);
    sswi.write(0, 1, 1);
    sswi.write(2, 4, 1);
    EXPECT_EQ(lines.told(), 0);
}

}  // namespace
}  // namespace doppel::device
