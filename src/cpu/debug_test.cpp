#include "cpu/debug.h"

#include <gtest/gtest.h>

namespace doppel::cpu {
namespace {

constexpr uint64_t kTop = ~uint64_t{0};

TEST(DebugPoints, KnowBreakpointsAndTheirPages) {
    DebugPoints points({0x8000'2000, 0x8000'0ffe, 0x8000'0ffe, kTop - 1}, {});
    EXPECT_FALSE(points.empty());
    EXPECT_FALSE(points.has_watchpoints());
    EXPECT_TRUE(points.breaks_at(0x8000'0ffe));
    EXPECT_FALSE(points.breaks_at(0x8000'0ffc));
    EXPECT_TRUE(points.breaks_in_page(0x8000'0000));
    EXPECT_FALSE(points.breaks_in_page(0x8000'1fff));
    EXPECT_TRUE(points.breaks_in_page(0x8000'2fff));
    EXPECT_FALSE(points.breaks_in_page(0x8000'3000));
    EXPECT_TRUE(points.breaks_in_page(kTop));
    EXPECT_FALSE(points.watches_page(0x8000'0ffe));
}

TEST(DebugPoints, WithNothingAreEmpty) {
    DebugPoints points({}, {});
    EXPECT_TRUE(points.empty());
    EXPECT_FALSE(points.breaks_at(0));
    EXPECT_FALSE(points.breaks_in_page(0));
    EXPECT_FALSE(points.watches_page(0));
    EXPECT_FALSE(points.hit(0, 8, true));
}

TEST(DebugPoints, AreHitByAnyByteOfTheRangeAndTheRightKindOfAccess) {
    DebugPoints points({}, {{0x1004, 0x1007, false, true}, {0x3000, 0x3000, true, false}});
    EXPECT_FALSE(points.hit(0x1000, 4, true));
    EXPECT_TRUE(points.hit(0x1000, 5, true));
    EXPECT_EQ(points.hit(0x1000, 8, true)->address, 0x1004u);
    EXPECT_EQ(points.hit(0x1006, 8, true)->address, 0x1006u);
    EXPECT_FALSE(points.hit(0x1008, 1, true));
    EXPECT_FALSE(points.hit(0x1004, 4, false)) << "a read of what is watched for writes";
    EXPECT_TRUE(points.hit(0x3000, 1, false));
    EXPECT_FALSE(points.hit(0x3000, 1, true));
    EXPECT_TRUE(points.watches_page(0x1fff));
    EXPECT_FALSE(points.watches_page(0x2000));
}

TEST(DebugPoints, ReachOverPagesAndToTheEndOfTheAddressSpace) {
    DebugPoints points({}, {{0x1ffc, 0x4003, true, true}, {kTop - 7, kTop, true, true}});
    for (uint64_t page : {0x1000, 0x2000, 0x3000, 0x4000}) EXPECT_TRUE(points.watches_page(page));
    EXPECT_FALSE(points.watches_page(0x5000));
    EXPECT_TRUE(points.hit(kTop - 8, 2, false));
    EXPECT_FALSE(points.hit(kTop - 8, 1, false));
    EXPECT_TRUE(points.hit(kTop, 8, true)) << "an access that wraps";
    EXPECT_FALSE(points.hit(0, 8, true));
}

}  // namespace
}  // namespace doppel::cpu
