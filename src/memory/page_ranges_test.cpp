#include "memory/page_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace doppel::memory {
namespace {

TEST(PageRanges, MergesWhatTouches) {
    PageRanges ranges;
    ranges.insert(10, 10);
    ranges.insert(30, 10);
    EXPECT_EQ(ranges.count(), 2u);
    EXPECT_TRUE(ranges.contains(10, 10));
    EXPECT_FALSE(ranges.contains(10, 11));
    EXPECT_FALSE(ranges.contains(9, 1));
    EXPECT_FALSE(ranges.contains(20, 1));
    ranges.insert(20, 10);
    EXPECT_EQ(ranges.count(), 1u);
    EXPECT_TRUE(ranges.contains(10, 30));
    ranges.clear();
    EXPECT_FALSE(ranges.contains(10, 1));
}

TEST(PageRanges, AgreesWithABitmap) {
    constexpr uint64_t kSize = 64;
    std::mt19937 random(1);
    for (int round = 0; round < 200; round++) {
        PageRanges ranges;
        std::vector<bool> bits(kSize);
        for (int i = 0; i < 12; i++) {
            uint64_t start = random() % kSize;
            uint64_t length = random() % 9 % (kSize - start);
            ranges.insert(start, length);
            for (uint64_t at = start; at < start + length; at++) bits[at] = true;
        }
        size_t runs = 0;
        for (uint64_t at = 0; at < kSize; at++) {
            EXPECT_EQ(ranges.contains(at, 1), bits[at]);
            if (bits[at] && (at == 0 || !bits[at - 1])) runs++;
        }
        EXPECT_EQ(ranges.count(), runs);
    }
}

}  // namespace
}  // namespace doppel::memory
