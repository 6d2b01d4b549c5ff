#include "device/bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <thread>
#include <vector>

namespace doppel::device {
namespace {

using testing::HasSubstr;

class Probe final : public Device {
  public:
    explicit Probe(uint64_t answer = 0) : answer_(answer) {}
    std::string_view name() const override { return "probe"; }
    uint64_t read(uint64_t at, unsigned width) override {
        note(at, width);
        return answer_;
    }
    void write(uint64_t at, unsigned width, uint64_t value) override {
        note(at, width);
        written = value;
    }
    void reset() override {}

    uint64_t offset = 0;
    unsigned bytes = 0;
    uint64_t written = 0;
    bool was_locked = false;
    int accesses = 0;

  private:
    void note(uint64_t at, unsigned width) {
        offset = at;
        bytes = width;
        accesses++;
        std::thread([this] {
            was_locked = !lock().try_lock();
            if (!was_locked) lock().unlock();
        }).join();
    }
    uint64_t answer_;
};

TEST(Bus, PassesAnAccessWithItsOffsetUnderTheDevicesLock) {
    Probe probe(42);
    Bus bus;
    ASSERT_TRUE(bus.map(0x1000, 0x100, probe));
    EXPECT_EQ(bus.read(0x1010, 4), 42u);
    EXPECT_EQ(probe.offset, 0x10u);
    EXPECT_EQ(probe.bytes, 4u);
    EXPECT_TRUE(probe.was_locked);
    EXPECT_TRUE(bus.write(0x1018, 8, 0x1122334455667788));
    EXPECT_EQ(probe.offset, 0x18u);
    EXPECT_EQ(probe.written, 0x1122334455667788u);
    EXPECT_TRUE(probe.was_locked);
    EXPECT_TRUE(probe.lock().try_lock());
    probe.lock().unlock();
}

TEST(Bus, FindsTheRightOneOfManyMappingsInAnyOrderOfMapping) {
    std::vector<std::unique_ptr<Probe>> probes;
    Bus bus;
    for (uint64_t i = 0; i < 16; i++) probes.push_back(std::make_unique<Probe>(i));
    for (uint64_t i = 0; i < 16; i++) {
        uint64_t slot = i * 7 % 16;
        ASSERT_TRUE(bus.map(slot * 0x100, 0x80, *probes[slot]));
    }
    for (uint64_t i = 0; i < 16; i++) {
        EXPECT_EQ(bus.read(i * 0x100, 1), i);
        EXPECT_EQ(bus.read(i * 0x100 + 0x7f, 1), i);
        EXPECT_EQ(bus.read(i * 0x100 + 0x80, 1), std::nullopt);
    }
}

TEST(Bus, AnswersNothingOutsideOrAcrossTheEndOfAMapping) {
    Probe probe;
    Bus bus;
    EXPECT_EQ(bus.read(0x1000, 4), std::nullopt);
    ASSERT_TRUE(bus.map(0x1000, 0x102, probe));
    EXPECT_EQ(bus.read(0xffc, 4), std::nullopt);
    EXPECT_EQ(bus.read(0x1100, 4), std::nullopt);
    EXPECT_FALSE(bus.write(0x1100, 4, 0));
    EXPECT_TRUE(bus.write(0x1100, 2, 0));
    EXPECT_FALSE(bus.write(0x1104, 1, 0));
    EXPECT_EQ(probe.accesses, 1);
}

TEST(Bus, RefusesMisalignedAndOddWidths) {
    Probe probe;
    Bus bus;
    ASSERT_TRUE(bus.map(0x1000, 0x100, probe));
    for (unsigned bytes : {0u, 3u, 5u, 6u, 7u, 9u, 16u, 0x80000000u}) EXPECT_EQ(bus.read(0x1000, bytes), std::nullopt);
    EXPECT_EQ(bus.read(0x1001, 2), std::nullopt);
    EXPECT_EQ(bus.read(0x1002, 4), std::nullopt);
    EXPECT_FALSE(bus.write(0x1004, 8, 0));
    EXPECT_EQ(probe.accesses, 0);
}

TEST(Bus, RefusesWidthsThatTheMappingDoesNotTake) {
    Probe probe;
    Bus bus;
    ASSERT_TRUE(bus.map(0x1000, 0x100, probe, {.min = 2, .max = 4}));
    EXPECT_EQ(bus.read(0x1000, 1), std::nullopt);
    EXPECT_NE(bus.read(0x1000, 2), std::nullopt);
    EXPECT_NE(bus.read(0x1000, 4), std::nullopt);
    EXPECT_EQ(bus.read(0x1000, 8), std::nullopt);
}

TEST(Bus, RefusesOverlappingMappingsAndNamesTheOther) {
    Probe probe;
    Bus bus;
    ASSERT_TRUE(bus.map(0x1000, 0x100, probe));
    struct Range {
        uint64_t base, size;
    };
    for (Range range : {Range{0x1000, 0x100}, Range{0xfff, 2}, Range{0x10ff, 1}, Range{0, 0x10000}, Range{0x1040, 1}}) {
        auto mapped = bus.map(range.base, range.size, probe);
        ASSERT_FALSE(mapped);
        EXPECT_THAT(mapped.error().message(), HasSubstr("overlaps probe at 0x1000"));
    }
    EXPECT_TRUE(bus.map(0xfff, 1, probe));
    EXPECT_TRUE(bus.map(0x1100, 1, probe));
}

TEST(Bus, RefusesEmptyRangesRangesBeyondTheEndAndWidthsThatAreNone) {
    constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
    Probe probe(7);
    Bus bus;
    EXPECT_FALSE(bus.map(0x1000, 0, probe));
    EXPECT_FALSE(bus.map(kLast, 2, probe));
    EXPECT_FALSE(bus.map(2, kLast, probe));
    EXPECT_FALSE(bus.map(0x1000, 8, probe, {.min = 4, .max = 2}));
    EXPECT_FALSE(bus.map(0x1000, 8, probe, {.min = 3, .max = 4}));
    EXPECT_FALSE(bus.map(0x1000, 8, probe, {.min = 0, .max = 4}));
    EXPECT_FALSE(bus.map(0x1000, 8, probe, {.min = 1, .max = 16}));
}

TEST(Bus, MapsUpToTheLastAddress) {
    constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
    Probe probe(7);
    Bus bus;
    ASSERT_TRUE(bus.map(kLast - 7, 8, probe));
    EXPECT_EQ(bus.read(kLast - 7, 8), 7u);
    EXPECT_EQ(bus.read(kLast, 1), 7u);
    EXPECT_FALSE(bus.map(kLast, 1, probe));
}

}  // namespace
}  // namespace doppel::device
