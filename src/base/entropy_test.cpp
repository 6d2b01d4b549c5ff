#include "base/entropy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace doppel {
namespace {

TEST(HostEntropy, FillsAllOfASpanLargerThanTheKernelGivesAtOnce) {
    // getrandom(2) may return less than what is asked for above 256 bytes.
    std::vector<uint8_t> bytes(1 << 20);
    ASSERT_TRUE(host_entropy(bytes));
    // The last 64 bytes are all zero once in 2^512.
    EXPECT_TRUE(std::any_of(bytes.end() - 64, bytes.end(), [](uint8_t byte) { return byte != 0; }));
}

TEST(HostEntropy, IsNeverTheSame) {
    std::array<uint8_t, 32> first{}, second{};
    ASSERT_TRUE(host_entropy(first) && host_entropy(second));
    EXPECT_NE(first, second);
}

TEST(HostEntropy, OfNothingIsThere) {
    EXPECT_TRUE(host_entropy({}));
}

}  // namespace
}  // namespace doppel
