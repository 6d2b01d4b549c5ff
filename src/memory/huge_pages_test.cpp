#include "memory/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "memory/guest_memory.h"

namespace doppel::memory {
namespace {

constexpr uint64_t kBase = 0x8000'0000;
constexpr uint64_t kSize = 4 * kHugePageSize + 3 * kPageSize;
constexpr unsigned kSome = 63, kEnough = 64;

class HugePagesTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(memory_.add_region(kBase, kSize)); }
    void touch(uint64_t from, unsigned pages) {
        for (unsigned i = 0; i < pages; i++) ASSERT_TRUE(memory_.store<uint64_t>(from + i * kPageSize, i + 1));
    }

    GuestMemory memory_;
};

TEST_F(HugePagesTest, AreAskedForWhenAnEighthIsInUse) {
    touch(kBase + kHugePageSize, kSome);
    touch(kBase + kHugePageSize, kSome);  // again
    EXPECT_EQ(memory_.resident_bytes(), kSome * kPageSize);
    touch(kBase + 2 * kHugePageSize - kPageSize, 1);
    if (memory_.resident_bytes() == kEnough * kPageSize) GTEST_SKIP() << "this host gives no huge page";
    EXPECT_EQ(memory_.resident_bytes(), kHugePageSize);
    for (unsigned i = 0; i < kSome; i++) {
        EXPECT_EQ(memory_.load<uint64_t>(kBase + kHugePageSize + i * kPageSize), i + 1);
    }
    EXPECT_EQ(memory_.load<uint64_t>(kBase + kHugePageSize + 100 * kPageSize), 0u);
}

TEST_F(HugePagesTest, AreStillAskedForWhenThereWasNoneForAnotherRange) {
    uint8_t* host = memory_.find(kBase, 1)->host;
    ASSERT_EQ(madvise(host, kHugePageSize, MADV_NOHUGEPAGE), 0);  // makes the kernel refuse it as unknown advice
    touch(kBase, kEnough);
    EXPECT_EQ(memory_.resident_bytes(), kEnough * kPageSize);
    touch(kBase + kHugePageSize, kEnough);
    if (memory_.resident_bytes() == 2 * kEnough * kPageSize) GTEST_SKIP() << "this host gives no huge page";
    ASSERT_EQ(madvise(host, kHugePageSize, MADV_HUGEPAGE), 0);
    touch(kBase, 2 * kEnough);  // as many again
    EXPECT_EQ(memory_.resident_bytes(), 2 * kHugePageSize);
}

TEST_F(HugePagesTest, AreNothingForWhatIsNoWholeOne) {
    touch(kBase + 4 * kHugePageSize, 3);
    EXPECT_EQ(memory_.resident_bytes(), 3 * kPageSize);
}

TEST_F(HugePagesTest, AreNotAskedForOverFrozenMemory) {
    auto generation = memory_.freeze();
    ASSERT_TRUE(generation);
    touch(kBase, kEnough + 10);
    EXPECT_LT(memory_.resident_bytes(), kHugePageSize);
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(**generation));
    ASSERT_TRUE(copy.fill(kBase, 100 * kPageSize, 1));
    EXPECT_LT(copy.resident_bytes(), kHugePageSize);
}

TEST_F(HugePagesTest, AreNotMadeOfWhatIsDiscarded) {
    ASSERT_TRUE(memory_.discard(kBase, kSize));
    EXPECT_EQ(memory_.resident_bytes(), 0u);
    touch(kBase, kSome);
    EXPECT_EQ(memory_.resident_bytes(), kSome * kPageSize);
}

TEST_F(HugePagesTest, AreAskedForAgainWhenWhatWasDiscardedIsInUse) {
    touch(kBase, kEnough);
    if (memory_.resident_bytes() != kHugePageSize) GTEST_SKIP() << "this host gives no huge page";
    ASSERT_TRUE(memory_.discard(kBase, kHugePageSize));
    touch(kBase, kEnough);
    EXPECT_EQ(memory_.resident_bytes(), kHugePageSize);
}

TEST_F(HugePagesTest, GoBackToTheHostWithWhatIsDiscarded) {
    touch(kBase, kEnough);
    ASSERT_TRUE(memory_.discard(kBase, kHugePageSize));
    EXPECT_EQ(memory_.resident_bytes(), 0u);
    EXPECT_EQ(memory_.load<uint64_t>(kBase), 0u);
}

}  // namespace
}  // namespace doppel::memory
