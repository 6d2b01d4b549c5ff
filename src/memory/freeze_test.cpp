#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

#include "memory/guest_memory.h"

namespace doppel::memory {
namespace {

constexpr uint64_t kBase = 0x8000'0000;
constexpr uint64_t kPages = 1200;  // more than two of the chunks that freeze copies by
constexpr uint64_t kSize = kPages * kPageSize;

using Content = std::vector<uint8_t>;

Content content_of(const GuestMemory& memory) {
    Content bytes(kSize);
    EXPECT_TRUE(memory.read(kBase, bytes));
    return bytes;
}

Content content_of(const Generation& generation) {
    GuestMemory copy;
    EXPECT_TRUE(copy.add_generation(generation));
    return content_of(copy);
}

uint64_t blocks_of(const Generation& generation) {
    struct stat status {};
    EXPECT_EQ(::fstat(generation.ranges.at(0).content.get(), &status), 0);
    return static_cast<uint64_t>(status.st_blocks) * 512;
}

class FreezeTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(memory_.add_region(kBase, kSize)); }

    std::shared_ptr<const Generation> freeze() {
        auto generation = memory_.freeze();
        if (!generation) ADD_FAILURE() << generation.error().message();
        return generation ? *generation : std::make_shared<Generation>();
    }
    // Writes on some pages and discards others, the same for the same seed.
    void scribble(uint32_t seed) {
        std::mt19937 random(seed);
        for (int i = 0; i < 300; i++) {
            uint64_t page = random() % kPages;
            uint64_t at = kBase + page * kPageSize;
            if (random() % 4 == 0) {
                uint64_t count = std::min<uint64_t>(1 + random() % 9, kPages - page);
                ASSERT_TRUE(memory_.discard(at, count * kPageSize));
            } else {
                ASSERT_TRUE(
                    memory_.store<uint32_t>(at + random() % 1000 * 4, seed << 16 | static_cast<uint32_t>(page)));
            }
        }
    }

    GuestMemory memory_;
};

TEST_F(FreezeTest, KeepsContentAndHostAddresses) {
    scribble(1);
    Content before = content_of(memory_);
    uint8_t* host = memory_.regions()[0]->host;
    auto generation = freeze();
    EXPECT_EQ(memory_.regions()[0]->host, host);
    EXPECT_EQ(content_of(memory_), before);
    EXPECT_EQ(content_of(*generation), before);
    ASSERT_EQ(generation->ranges.size(), 1u);
    EXPECT_EQ(generation->ranges[0].base, kBase);
    EXPECT_EQ(generation->ranges[0].size, kSize);
}

TEST_F(FreezeTest, TheGenerationDoesNotChangeAnyMore) {
    scribble(1);
    Content before = content_of(memory_);
    auto generation = freeze();
    scribble(2);
    EXPECT_NE(content_of(memory_), before);
    EXPECT_EQ(content_of(*generation), before);
    int fd = generation->ranges[0].content.get();
    EXPECT_EQ(::pwrite(fd, "x", 1, 0), -1);
    EXPECT_EQ(::ftruncate(fd, 0), -1);
    EXPECT_EQ(::mmap(nullptr, kPageSize, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
}

TEST_F(FreezeTest, CopiesDiverge) {
    scribble(1);
    auto generation = freeze();
    GuestMemory first;
    GuestMemory second;
    ASSERT_TRUE(first.add_generation(*generation));
    ASSERT_TRUE(second.add_generation(*generation));
    Content before = content_of(memory_);
    ASSERT_TRUE(first.store<uint64_t>(kBase, 111));
    ASSERT_TRUE(second.store<uint64_t>(kBase, 222));
    EXPECT_EQ(content_of(memory_), before);
    EXPECT_EQ(first.load<uint64_t>(kBase), 111u);
    EXPECT_EQ(second.load<uint64_t>(kBase), 222u);
    EXPECT_EQ(first.collect_dirty(), (std::vector<uint64_t>{kBase}));
}

TEST_F(FreezeTest, OutlivesTheMemoryItCameFrom) {
    auto memory = std::make_unique<GuestMemory>();
    ASSERT_TRUE(memory->add_region(kBase, kSize));
    ASSERT_TRUE(memory->store<uint64_t>(kBase + 5 * kPageSize, 77));
    auto generation = memory->freeze();
    ASSERT_TRUE(generation);
    memory.reset();
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(**generation));
    generation->reset();
    EXPECT_EQ(copy.load<uint64_t>(kBase + 5 * kPageSize), 77u);
}

TEST_F(FreezeTest, EachFreezeOfManyHasTheContentOfItsTime) {
    std::vector<Content> contents;
    std::vector<std::shared_ptr<const Generation>> generations;
    uint8_t* host = memory_.regions()[0]->host;
    for (uint32_t round = 1; round <= 4; round++) {
        scribble(round);
        contents.push_back(content_of(memory_));
        generations.push_back(freeze());
        EXPECT_EQ(content_of(memory_), contents.back());
        EXPECT_EQ(memory_.regions()[0]->host, host);
    }
    scribble(99);
    for (size_t i = 0; i < contents.size(); i++) EXPECT_EQ(content_of(*generations[i]), contents[i]) << i;
}

TEST_F(FreezeTest, OfACopyHoldsWhatTheCopySees) {
    scribble(1);
    auto generation = freeze();
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(*generation));
    ASSERT_TRUE(copy.store<uint64_t>(kBase + 700 * kPageSize, 5));
    ASSERT_TRUE(copy.discard(kBase, kPageSize));
    Content expected = content_of(copy);
    auto second = copy.freeze();
    ASSERT_TRUE(second);
    EXPECT_EQ(content_of(**second), expected);
    EXPECT_EQ(content_of(copy), expected);
}

TEST_F(FreezeTest, WithoutChangesReusesTheContent) {
    ASSERT_TRUE(memory_.fill(kBase, kSize, 1));
    auto first = freeze();
    auto second = freeze();
    struct stat a {};
    struct stat b {};
    ASSERT_EQ(::fstat(first->ranges[0].content.get(), &a), 0);
    ASSERT_EQ(::fstat(second->ranges[0].content.get(), &b), 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST_F(FreezeTest, CopiesNeitherHolesNorZeroPages) {
    ASSERT_TRUE(memory_.fill(kBase, 40 * kPageSize, 1));
    auto first = freeze();
    EXPECT_EQ(blocks_of(*first), 40 * kPageSize);
    ASSERT_TRUE(memory_.fill(kBase, 10 * kPageSize, 0));
    ASSERT_TRUE(memory_.discard(kBase + 10 * kPageSize, 10 * kPageSize));
    ASSERT_TRUE(memory_.fill(kBase + 600 * kPageSize, 3 * kPageSize, 2));
    auto second = freeze();
    EXPECT_EQ(blocks_of(*second), 23 * kPageSize);
}

TEST_F(FreezeTest, DiscardedPagesReadZeroAndNotTheFrozenContent) {
    ASSERT_TRUE(memory_.fill(kBase, kSize, 7));
    auto generation = freeze();
    ASSERT_TRUE(memory_.fill(kBase, 4 * kPageSize, 8));
    ASSERT_TRUE(memory_.discard(kBase + 2 * kPageSize, 4 * kPageSize));
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 2 * kPageSize - 1), 8);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 2 * kPageSize), 0);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 6 * kPageSize - 1), 0);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 6 * kPageSize), 7);
    ASSERT_TRUE(memory_.store<uint8_t>(kBase + 3 * kPageSize, 9));
    ASSERT_TRUE(memory_.discard(kBase + 3 * kPageSize, kPageSize));
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 3 * kPageSize), 0);
    EXPECT_EQ(content_of(*generation), Content(kSize, 7));
}

TEST_F(FreezeTest, AHostileGuestCannotUseUpTheMappings) {
    constexpr uint64_t kMany = 20'000;
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region(0, kMany * kPageSize));
    ASSERT_TRUE(memory.fill(0, kMany * kPageSize, 7));
    ASSERT_TRUE(memory.freeze());
    for (uint64_t page = 0; page < kMany; page += 2) ASSERT_TRUE(memory.discard(page * kPageSize, kPageSize));
    for (uint64_t page = 0; page < kMany; page++) {
        ASSERT_EQ(memory.load<uint8_t>(page * kPageSize + 9), page % 2 == 0 ? 0 : 7) << page;
    }
    EXPECT_LE(memory.regions()[0]->zeroed.count(), 5000u);
    auto again = memory.freeze();
    ASSERT_TRUE(again);
    EXPECT_EQ(blocks_of(**again), kMany / 2 * kPageSize);
}

TEST_F(FreezeTest, CountsPrivatePagesAsResident) {
    ASSERT_TRUE(memory_.fill(kBase, 50 * kPageSize, 1));
    auto generation = freeze();
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(*generation));
    EXPECT_EQ(copy.resident_bytes(), 50 * kPageSize);
    ASSERT_TRUE(copy.fill(kBase, 10 * kPageSize, 2));
    EXPECT_EQ(copy.resident_bytes(), 60 * kPageSize);
    ASSERT_TRUE(copy.discard(kBase, 10 * kPageSize));
    EXPECT_EQ(copy.resident_bytes(), 50 * kPageSize);
}

TEST_F(FreezeTest, CarriesEveryRegionAndItsKind) {
    ASSERT_TRUE(memory_.add_region(0, kPageSize, false));
    ASSERT_TRUE(memory_.store<uint32_t>(0, 5));
    auto code = memory_.add_code_region(kPageSize, kPageSize);
    ASSERT_TRUE(code);
    (*code)->host[3] = 6;
    auto generation = freeze();
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(*generation));
    ASSERT_EQ(copy.regions().size(), 3u);
    EXPECT_EQ(copy.find(kPageSize, 1), nullptr);
    ASSERT_NE(copy.find_code(kPageSize, 1), nullptr);
    EXPECT_EQ(copy.find_code(kPageSize, 1)->host[3], 6);
    EXPECT_FALSE(copy.find(0, 1)->writable);
    EXPECT_TRUE(copy.find(kBase, 1)->writable);
    EXPECT_EQ(copy.load<uint32_t>(0), 5u);
}

TEST_F(FreezeTest, OfNothingIsEmpty) {
    GuestMemory memory;
    auto generation = memory.freeze();
    ASSERT_TRUE(generation);
    EXPECT_TRUE((*generation)->ranges.empty());
}

TEST_F(FreezeTest, WithoutDescriptorsFailsAndChangesNothing) {
    ASSERT_TRUE(memory_.add_region(0, kPageSize));
    scribble(1);
    Content before = content_of(memory_);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    // One descriptor is left: enough for the first region's share of the generation, not for the second's.
    UniqueFd next(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    ASSERT_TRUE(next);
    rlimit tight{static_cast<rlim_t>(next.get()) + 1, limit.rlim_max};
    next.reset();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    auto failed = memory_.freeze();
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ASSERT_FALSE(failed);
    EXPECT_FALSE(memory_.regions()[0]->frozen);
    EXPECT_EQ(content_of(memory_), before);
    EXPECT_EQ(content_of(*freeze()), before);
}

TEST_F(FreezeTest, OfAFileThatIsMappedElsewhereFailsAndKeepsTheContent) {
    ASSERT_TRUE(memory_.add_region(0, kPageSize));
    scribble(1);
    Content before = content_of(memory_);
    // Sealing is refused while a shared writable mapping exists. The first region has been frozen by then.
    void* elsewhere =
        ::mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.regions()[1]->file.get(), 0);
    ASSERT_NE(elsewhere, MAP_FAILED);
    ASSERT_FALSE(memory_.freeze());
    ASSERT_TRUE(memory_.store<uint32_t>(0, 5));
    EXPECT_EQ(*static_cast<uint32_t*>(elsewhere), 5u);
    EXPECT_EQ(content_of(memory_), before);
    ::munmap(elsewhere, kPageSize);

    scribble(2);
    Content after = content_of(memory_);
    auto generation = freeze();
    EXPECT_EQ(content_of(*generation), after);
    GuestMemory copy;
    ASSERT_TRUE(copy.add_generation(*generation));
    EXPECT_EQ(copy.load<uint32_t>(0), 5u);
}

TEST_F(FreezeTest, BadGenerationsAddNothing) {
    auto generation = freeze();
    EXPECT_FALSE(memory_.add_generation(*generation));
    GuestMemory copy;
    Generation bad;
    bad.ranges.push_back({0, kPageSize, UniqueFd(::fcntl(generation->ranges[0].content.get(), F_DUPFD_CLOEXEC, 0))});
    bad.ranges.push_back({kPageSize, kPageSize, UniqueFd()});
    EXPECT_FALSE(copy.add_generation(bad));
    EXPECT_TRUE(copy.regions().empty());
    bad.ranges[1] = {kPageSize, kSize + kPageSize, std::move(bad.ranges[0].content)};
    bad.ranges.erase(bad.ranges.begin());
    auto refused = copy.add_generation(bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().why, "its frozen content is missing or too short");
}

}  // namespace
}  // namespace doppel::memory
