#include "cpu/translate/loop_probe.h"

#include <gtest/gtest.h>

namespace doppel::cpu::translate {
namespace {

constexpr uint64_t kLoop = 0x8000'1200, kKey = kLoop << 4;
constexpr int64_t kSlice = 1 << 16;

struct LoopProbeTest : testing::Test {
    // Slices that run out at the loop until the probe looks closer; how many it took.
    int wait_until_open() {
        for (int slices = 1; slices < 100; slices++) {
            if (probe.note(kLoop, kKey)) return -1;
            if (is_open()) return slices;
        }
        return -1;
    }
    bool is_open() const { return probe.limit(kSlice) < kSlice; }
    // What comes of blocks at these addresses, in turns, while it looks.
    std::optional<LoopProbe::Loop> visit(std::initializer_list<uint64_t> addresses) {
        while (is_open()) {
            for (uint64_t each : addresses) {
                if (auto loop = probe.note(each, each << 4)) return loop;
            }
        }
        return std::nullopt;
    }
    LoopProbe probe;
};

TEST_F(LoopProbeTest, NamesALoopAndTheBlocksThatWereVisited) {
    EXPECT_EQ(wait_until_open(), 4);
    const auto loop = visit({kLoop, kLoop + 0x20});
    ASSERT_TRUE(loop);
    EXPECT_EQ(loop->physical, kLoop);
    ASSERT_GE(loop->visited.size(), 2u);
    EXPECT_EQ(loop->visited[0], kLoop % 0x1000);
    EXPECT_EQ(loop->visited[1], kLoop % 0x1000 + 0x20);
    EXPECT_FALSE(is_open());
}

TEST_F(LoopProbeTest, GivesUpWhenCodeLeavesThePageAndTriesMoreRarely) {
    EXPECT_EQ(wait_until_open(), 4);
    EXPECT_FALSE(visit({kLoop, kLoop + 0x1000}));
    EXPECT_EQ(wait_until_open(), 4);  // the eighth in all
    EXPECT_FALSE(visit({kLoop + 0x1000}));
    EXPECT_EQ(wait_until_open(), 8);
}

TEST_F(LoopProbeTest, GivesUpWhenTranslatedCodeIsLeft) {
    EXPECT_EQ(wait_until_open(), 4);
    EXPECT_FALSE(probe.note(kLoop, kKey));
    probe.end();
    EXPECT_FALSE(is_open());
    EXPECT_EQ(wait_until_open(), 4);
    EXPECT_TRUE(visit({kLoop}));
}

TEST_F(LoopProbeTest, NeverAsksForMoreThanTheBudgetHas) {
    EXPECT_EQ(wait_until_open(), 4);
    EXPECT_EQ(probe.limit(5), 5);
    EXPECT_GE(probe.limit(kSlice), 64);  // the longest block runs
    probe.forget();
    EXPECT_EQ(probe.limit(kSlice), kSlice);
    EXPECT_EQ(wait_until_open(), 4);
}

}  // namespace
}  // namespace doppel::cpu::translate
