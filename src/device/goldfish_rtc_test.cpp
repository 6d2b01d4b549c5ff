#include "device/goldfish_rtc.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

constexpr uint64_t kTimeLow = 0x00, kTimeHigh = 0x04, kAlarmLow = 0x08, kAlarmHigh = 0x0c, kIrqEnabled = 0x10,
                   kClearAlarm = 0x14, kAlarmStatus = 0x18, kClearInterrupt = 0x1c;
constexpr uint64_t kNow = 1'700'000'000'000'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

class GoldfishRtcTest : public testing::Test {
  protected:
    GoldfishRtcTest() { clock.set_realtime(kNow); }

    uint64_t time() {
        uint64_t low = rtc.read(kTimeLow, 4);
        return low | rtc.read(kTimeHigh, 4) << 32;
    }
    void set_pair(uint64_t low_register, uint64_t value) {
        rtc.write(low_register + 4, 4, value >> 32);
        rtc.write(low_register, 4, value & 0xffffffff);
    }
    void pass(uint64_t nanoseconds) {
        clock.advance(nanoseconds);
        loop->run_ready();
    }

    ManualClock clock;
    std::unique_ptr<EventLoop> loop = EventLoop::create(clock).value();
    RecordedLines lines;
    GoldfishRtc rtc{*loop, lines.line(11)};
};

TEST_F(GoldfishRtcTest, ShowsTheHostsTime) {
    EXPECT_EQ(time(), kNow);
    clock.advance(5 * kSecond);
    EXPECT_EQ(time(), kNow + 5 * kSecond);
}

TEST_F(GoldfishRtcTest, LatchesTheHighHalfWhenTheLowOneIsRead) {
    clock.set_realtime(0x1'ffffffff);
    EXPECT_EQ(rtc.read(kTimeLow, 4), 0xffffffffu);
    clock.advance(1);
    EXPECT_EQ(rtc.read(kTimeHigh, 4), 1u);
    EXPECT_EQ(rtc.read(kTimeLow, 4), 0u);
    EXPECT_EQ(rtc.read(kTimeHigh, 4), 2u);
}

TEST_F(GoldfishRtcTest, GoesOnFromTheTimeThatTheGuestSets) {
    set_pair(kTimeLow, 5 * kSecond);
    EXPECT_EQ(time(), 5 * kSecond);
    clock.advance(kSecond);
    EXPECT_EQ(time(), 6 * kSecond);
}

TEST_F(GoldfishRtcTest, RaisesTheLineWhenTheAlarmIsDueAndLowersItWhenCleared) {
    set_pair(kAlarmLow, kNow + 3 * kSecond);
    rtc.write(kIrqEnabled, 4, 1);
    EXPECT_EQ(rtc.read(kAlarmStatus, 4), 1u);
    EXPECT_EQ(rtc.read(kAlarmLow, 4) | rtc.read(kAlarmHigh, 4) << 32, kNow + 3 * kSecond);
    pass(3 * kSecond - 1);
    EXPECT_FALSE(lines.level(11));
    pass(1);
    EXPECT_TRUE(lines.level(11));
    EXPECT_EQ(rtc.read(kAlarmStatus, 4), 0u);
    rtc.write(kClearInterrupt, 4, 1);
    EXPECT_FALSE(lines.level(11));
    pass(100 * kSecond);
    EXPECT_FALSE(lines.level(11));
}

TEST_F(GoldfishRtcTest, RaisesAtOnceForAnAlarmInThePast) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, kNow - 1);
    EXPECT_TRUE(lines.level(11));
    EXPECT_EQ(rtc.read(kAlarmStatus, 4), 0u);
}

TEST_F(GoldfishRtcTest, HoldsTheInterruptBackUntilItIsEnabled) {
    set_pair(kAlarmLow, kNow);
    EXPECT_FALSE(lines.level(11));
    rtc.write(kIrqEnabled, 4, 1);
    EXPECT_TRUE(lines.level(11));
    rtc.write(kIrqEnabled, 4, 0);
    EXPECT_FALSE(lines.level(11));
}

TEST_F(GoldfishRtcTest, ForgetsAClearedAlarm) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, kNow + kSecond);
    rtc.write(kClearAlarm, 4, 1);
    EXPECT_EQ(rtc.read(kAlarmStatus, 4), 0u);
    pass(10 * kSecond);
    EXPECT_FALSE(lines.level(11));
}

TEST_F(GoldfishRtcTest, WaitsForTheLowHalfOfANewAlarm) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, kNow + kSecond);
    rtc.write(kAlarmHigh, 4, 0);
    pass(kSecond - 1);
    EXPECT_FALSE(lines.level(11));
}

TEST_F(GoldfishRtcTest, SetsOffAnAlarmThatANewTimePasses) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, kNow + 100 * kSecond);
    set_pair(kTimeLow, kNow + 100 * kSecond);
    EXPECT_TRUE(lines.level(11));
}

TEST_F(GoldfishRtcTest, FollowsAHostClockThatIsSetForward) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, kNow + 3600 * kSecond);
    clock.set_realtime(kNow + 3600 * kSecond);
    pass(10 * kSecond);
    EXPECT_TRUE(lines.level(11));
}

TEST_F(GoldfishRtcTest, TakesTheLastAlarmThatThereIs) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kAlarmLow, std::numeric_limits<uint64_t>::max());
    pass(1000 * kSecond);
    EXPECT_FALSE(lines.level(11));
    EXPECT_EQ(rtc.read(kAlarmStatus, 4), 1u);
}

TEST_F(GoldfishRtcTest, IgnoresOtherWidthsAndOffsets) {
    rtc.write(kIrqEnabled, 1, 1);
    rtc.write(0x20, 4, 1);
    EXPECT_EQ(rtc.read(kIrqEnabled, 4), 0u);
    EXPECT_EQ(rtc.read(kTimeLow, 2), 0u);
    EXPECT_EQ(rtc.read(0x20, 4), 0u);
}

TEST_F(GoldfishRtcTest, ResetsToTheHostsTimeWithoutAlarm) {
    rtc.write(kIrqEnabled, 4, 1);
    set_pair(kTimeLow, 0);
    set_pair(kAlarmLow, 0);
    EXPECT_TRUE(lines.level(11));
    rtc.reset();
    EXPECT_FALSE(lines.level(11));
    EXPECT_EQ(time(), kNow);
    EXPECT_EQ(rtc.read(kIrqEnabled, 4), 0u);
}

TEST_F(GoldfishRtcTest, RestoresTimeAlarmAndLine) {
    set_pair(kTimeLow, 50 * kSecond);
    set_pair(kAlarmLow, 60 * kSecond);
    rtc.write(kIrqEnabled, 4, 1);
    auto running = saved(rtc);
    pass(10 * kSecond);
    auto raised = saved(rtc);

    RecordedLines other_lines;
    GoldfishRtc other{*loop, other_lines.line(1)};
    ASSERT_TRUE(restore(other, raised));
    EXPECT_TRUE(other_lines.level(1));
    other.write(kTimeLow, 4, 0);
    ASSERT_TRUE(restore(other, running));
    EXPECT_TRUE(other_lines.level(1)) << "the alarm passed while the state lay saved";
    EXPECT_EQ(other.read(kTimeLow, 4), static_cast<uint32_t>(60 * kSecond));
}

TEST_F(GoldfishRtcTest, StaysAsItIsWhenARestoreFails) {
    rtc.write(kIrqEnabled, 4, 1);
    auto before = saved(rtc);
    StateWriter writer;
    writer.field(1, uint64_t{77});
    writer.field(5, uint64_t{2});
    EXPECT_FALSE(restore(rtc, writer.finish()));
    EXPECT_EQ(saved(rtc), before);
}

}  // namespace
}  // namespace doppel::device
