#include "memory/guest_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace doppel::memory {
namespace {

constexpr uint64_t kBase = 0x8000'0000;
constexpr uint64_t kSize = 256 * kPageSize;

class GuestMemoryTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(memory_.add_region(kBase, kSize)); }
    bool write(uint64_t address, std::vector<uint8_t> bytes) { return memory_.write(address, bytes); }

    GuestMemory memory_;
};

std::string refusal(const Result<>& result) {
    return result ? "" : result.error().why;
}

TEST_F(GuestMemoryTest, IsZeroAndCostsNothingUntilTouched) {
    GuestMemory large;
    ASSERT_TRUE(large.add_region(0, uint64_t{64} << 30));
    EXPECT_EQ(large.load<uint64_t>(uint64_t{63} << 30), 0u);
    ASSERT_TRUE(large.store<uint64_t>(uint64_t{32} << 30, 5));
    EXPECT_LE(large.resident_bytes(), uint64_t{16} << 20);
    EXPECT_GE(large.resident_bytes(), kPageSize);
}

TEST_F(GuestMemoryTest, ReadsBackWhatWasWritten) {
    ASSERT_TRUE(write(kBase + 100, {1, 2, 3, 4, 5}));
    std::vector<uint8_t> bytes(7);
    ASSERT_TRUE(memory_.read(kBase + 99, bytes));
    EXPECT_EQ(bytes, (std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 0}));
    ASSERT_TRUE(memory_.fill(kBase + 101, 3, 9));
    ASSERT_TRUE(memory_.read(kBase + 99, bytes));
    EXPECT_EQ(bytes, (std::vector<uint8_t>{0, 1, 9, 9, 9, 5, 0}));
}

TEST_F(GuestMemoryTest, LoadsAndStoresLittleEndianAtAnyAlignment) {
    ASSERT_TRUE(memory_.store<uint32_t>(kBase + 8, 0x04030201));
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 8), 1);
    EXPECT_EQ(memory_.load<uint16_t>(kBase + 9), 0x0302);
    ASSERT_TRUE(memory_.store<uint64_t>(kBase + 13, 0x1122334455667788));
    EXPECT_EQ(memory_.load<uint64_t>(kBase + 13), 0x1122334455667788u);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 13), 0x88);
}

TEST_F(GuestMemoryTest, RefusesWhatLeavesTheRegion) {
    std::vector<uint8_t> two(2);
    constexpr uint64_t kEnd = kBase + kSize;
    EXPECT_TRUE(memory_.read(kEnd - 2, two));
    for (uint64_t address : {kBase - 2, kBase - 1, kEnd - 1, kEnd, uint64_t{0}, UINT64_MAX - 1, UINT64_MAX}) {
        EXPECT_FALSE(memory_.read(address, two)) << address;
        EXPECT_FALSE(memory_.write(address, two)) << address;
        EXPECT_FALSE(memory_.fill(address, 2, 1)) << address;
        EXPECT_EQ(memory_.load<uint16_t>(address), std::nullopt) << address;
        EXPECT_FALSE(memory_.store<uint16_t>(address, 1)) << address;
        EXPECT_EQ(memory_.find(address, 2), nullptr) << address;
    }
    for (uint64_t length : {kSize + 1, UINT64_MAX, UINT64_MAX - kBase + 1, uint64_t{1} << 63}) {
        EXPECT_FALSE(memory_.fill(kBase, length, 1)) << length;
        EXPECT_FALSE(memory_.fill(kBase + 1, length - 1, 1)) << length;
    }
    EXPECT_TRUE(memory_.collect_dirty().empty());
}

TEST_F(GuestMemoryTest, TakesAccessesOfNothing) {
    EXPECT_TRUE(memory_.read(kBase, {}));
    EXPECT_TRUE(memory_.write(kBase + kSize, {}));
    EXPECT_FALSE(memory_.write(kBase + kSize + 1, {}));
    EXPECT_TRUE(memory_.collect_dirty().empty());
}

TEST_F(GuestMemoryTest, ReachesToTheEndOfTheAddressSpace) {
    constexpr uint64_t kLast = uint64_t{0} - kPageSize;
    ASSERT_TRUE(memory_.add_region(kLast, kPageSize));
    EXPECT_TRUE(memory_.store<uint64_t>(UINT64_MAX - 7, 5));
    EXPECT_EQ(memory_.load<uint64_t>(UINT64_MAX - 7), 5u);
    EXPECT_FALSE(memory_.store<uint64_t>(UINT64_MAX - 6, 5));
    EXPECT_FALSE(memory_.load<uint8_t>(0));
    EXPECT_FALSE(memory_.fill(UINT64_MAX, 2, 0));
    EXPECT_FALSE(memory_.fill(UINT64_MAX, UINT64_MAX, 0));
    EXPECT_EQ(memory_.collect_dirty(), (std::vector<uint64_t>{kLast}));
    EXPECT_TRUE(memory_.discard(kLast, kPageSize));
    EXPECT_EQ(memory_.load<uint64_t>(UINT64_MAX - 7), 0u);
}

TEST_F(GuestMemoryTest, DoesNotJoinNeighbouringRegions) {
    ASSERT_TRUE(memory_.add_region(kBase + kSize, kPageSize));
    EXPECT_FALSE(memory_.store<uint16_t>(kBase + kSize - 1, 5));
    EXPECT_TRUE(memory_.store<uint16_t>(kBase + kSize, 5));
}

TEST_F(GuestMemoryTest, RefusesBadRegions) {
    EXPECT_EQ(refusal(memory_.add_region(0x100, kPageSize)), "it is not made of whole pages of 4096 bytes");
    EXPECT_EQ(refusal(memory_.add_region(0, 100)), "it is not made of whole pages of 4096 bytes");
    EXPECT_EQ(refusal(memory_.add_region(0, 0)), "its size is not between 1 page and 4 TiB");
    EXPECT_EQ(refusal(memory_.add_region(0, kMaxRegionSize + kPageSize)), "its size is not between 1 page and 4 TiB");
    EXPECT_EQ(refusal(memory_.add_region(UINT64_MAX - 4095, 2 * kPageSize)), "it ends above the address space");
    std::string overlap = "it overlaps the region at 0x80000000";
    EXPECT_EQ(refusal(memory_.add_region(kBase, kPageSize)), overlap);
    EXPECT_EQ(refusal(memory_.add_region(kBase + kSize - kPageSize, 2 * kPageSize)), overlap);
    EXPECT_EQ(refusal(memory_.add_region(kBase - kPageSize, 2 * kPageSize)), overlap);
    EXPECT_EQ(refusal(memory_.add_region(0, uint64_t{1} << 40)), overlap);
    EXPECT_EQ(memory_.regions().size(), 1u);
}

TEST_F(GuestMemoryTest, LetsOnlyTheHostWriteRom) {
    ASSERT_TRUE(memory_.add_region(0, kPageSize, false));
    EXPECT_FALSE(memory_.find(0, 1)->writable);
    EXPECT_TRUE(memory_.store<uint32_t>(0, 7));
    EXPECT_FALSE(memory_.discard(0, kPageSize));
    EXPECT_EQ(memory_.load<uint32_t>(0), 7u);
}

TEST_F(GuestMemoryTest, HidesCodeFromAllButFetchesAndFromLoadsUnlessItIsReadable) {
    auto added = memory_.add_code_region(0, 2 * kPageSize);
    ASSERT_TRUE(added);
    (*added)->host[5] = 9;
    EXPECT_EQ(memory_.find_code(0, kPageSize), *added);
    EXPECT_EQ(memory_.find_code(kBase, kPageSize), memory_.find(kBase, kPageSize));
    EXPECT_EQ(memory_.find_code(kPageSize, 2 * kPageSize), nullptr);
    std::vector<uint8_t> byte(1);
    EXPECT_EQ(memory_.find(0, 1), nullptr);
    EXPECT_EQ(memory_.load<uint8_t>(5), std::nullopt);
    EXPECT_FALSE(memory_.store<uint8_t>(5, 1));
    EXPECT_FALSE(memory_.read(5, byte));
    EXPECT_FALSE(memory_.write(5, byte));
    EXPECT_FALSE(memory_.fill(5, 1, 0));
    EXPECT_FALSE(memory_.discard(0, kPageSize));
    EXPECT_EQ((*added)->host[5], 9);
    (*added)->readable = true;
    EXPECT_EQ(memory_.load<uint8_t>(5), 9);
    EXPECT_TRUE(memory_.read(5, byte));
    EXPECT_FALSE(memory_.store<uint8_t>(5, 1));
    EXPECT_FALSE(memory_.write(5, byte));
    EXPECT_EQ(memory_.find(0, 1), nullptr);
}

TEST_F(GuestMemoryTest, CollectsDirtyPagesAscendingAndOnce) {
    ASSERT_TRUE(memory_.add_region(0, kPageSize));
    ASSERT_TRUE(write(kBase + 5 * kPageSize - 1, {1, 2}));
    ASSERT_TRUE(memory_.store<uint8_t>(kBase + kSize - 1, 1));
    ASSERT_TRUE(memory_.store<uint8_t>(0, 1));
    EXPECT_EQ(memory_.collect_dirty(),
              (std::vector<uint64_t>{0, kBase + 4 * kPageSize, kBase + 5 * kPageSize, kBase + kSize - kPageSize}));
    EXPECT_TRUE(memory_.collect_dirty().empty());
}

TEST_F(GuestMemoryTest, MarksEveryPageOfALongWrite) {
    for (uint64_t first : {0, 1, 62, 63, 64, 65}) {
        for (uint64_t count : {1, 2, 63, 64, 65, 128, 130}) {
            ASSERT_TRUE(memory_.fill(kBase + first * kPageSize + 1, count * kPageSize - 2, 1));
            std::vector<uint64_t> expected;
            for (uint64_t i = 0; i < count; i++) expected.push_back(kBase + (first + i) * kPageSize);
            EXPECT_EQ(memory_.collect_dirty(), expected) << first << " " << count;
        }
    }
}

TEST_F(GuestMemoryTest, KeepsTheDirtyBitsOfConcurrentWriters) {
    std::vector<std::thread> threads;
    for (uint64_t start = 0; start < 4; start++) {
        threads.emplace_back([this, start] {
            for (uint64_t page = start; page < 256; page += 4) {
                EXPECT_TRUE(memory_.store<uint64_t>(kBase + page * kPageSize, page));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(memory_.collect_dirty().size(), 256u);
}

TEST_F(GuestMemoryTest, DiscardedPagesReadZeroAndGoBackToTheHost) {
    ASSERT_TRUE(memory_.fill(kBase, kSize, 7));
    uint64_t before = memory_.resident_bytes();
    EXPECT_EQ(before, kSize);
    ASSERT_TRUE(memory_.discard(kBase + kPageSize, 100 * kPageSize));
    EXPECT_EQ(memory_.resident_bytes(), before - 100 * kPageSize);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + kPageSize - 1), 7);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + kPageSize), 0);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 101 * kPageSize - 1), 0);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 101 * kPageSize), 7);
    ASSERT_TRUE(memory_.store<uint8_t>(kBase + kPageSize, 3));
    EXPECT_EQ(memory_.load<uint8_t>(kBase + kPageSize), 3);
}

TEST_F(GuestMemoryTest, DiscardMarksThePagesDirty) {
    ASSERT_TRUE(memory_.discard(kBase + kPageSize, 2 * kPageSize));
    EXPECT_EQ(memory_.collect_dirty(), (std::vector<uint64_t>{kBase + kPageSize, kBase + 2 * kPageSize}));
}

TEST_F(GuestMemoryTest, DiscardedCodeCountsAsWritten) {
    const Region& region = *memory_.regions()[0];
    GuestMemory::note_code(region, kBase + kPageSize, true);
    const uint64_t before = region.code_writes;
    ASSERT_TRUE(memory_.discard(kBase, 3 * kPageSize));
    EXPECT_GT(region.code_writes, before);
    EXPECT_TRUE(GuestMemory::take_code_written(region, kBase + kPageSize));
    EXPECT_FALSE(GuestMemory::take_code_written(region, kBase)) << "it holds no code";
}

TEST_F(GuestMemoryTest, RefusesToDiscardPartsOfPagesAndWhatItDoesNotHave) {
    ASSERT_TRUE(memory_.fill(kBase, kSize, 7));
    EXPECT_FALSE(memory_.discard(kBase + 1, kPageSize));
    EXPECT_FALSE(memory_.discard(kBase, 1));
    EXPECT_FALSE(memory_.discard(kBase + kSize, kPageSize));
    EXPECT_FALSE(memory_.discard(kBase - kPageSize, 2 * kPageSize));
    EXPECT_FALSE(memory_.discard(kBase, kSize + kPageSize));
    EXPECT_FALSE(memory_.discard(kBase, uint64_t{0} - kPageSize));
    EXPECT_TRUE(memory_.discard(kBase, 0));
    std::vector<uint8_t> bytes(kSize);
    ASSERT_TRUE(memory_.read(kBase, bytes));
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 7), static_cast<std::ptrdiff_t>(kSize));
}

}  // namespace
}  // namespace doppel::memory
