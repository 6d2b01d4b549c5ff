#include <gtest/gtest.h>

#include <random>

#include "base/temporary_folder.h"
#include "storage/copy_on_write.h"
#include "storage/memory_device.h"
#include "storage/raw_file.h"
#include "storage/read_cache.h"
#include "storage/throttle.h"

namespace doppel::storage {
namespace {

constexpr uint64_t kSize = (1 << 20) + 700;

MemoryDisk random_disk() {
    MemoryDisk disk;
    std::mt19937 random(3);
    for (uint64_t i = 0; i < kSize; i++) disk.bytes.push_back(static_cast<uint8_t>(random()));
    return disk;
}

// Random requests, some at once, to a layer and to a model of what it should hold.
void expect_like_model(BlockDevice& device, std::vector<uint8_t> model, LateCompletions& late) {
    std::mt19937_64 random(5);
    for (int i = 0; i < 400; i++) {
        const uint64_t offset = random() % kSize, length = std::min<uint64_t>(1 + random() % 70000, kSize - offset);
        const auto at = model.begin() + static_cast<std::ptrdiff_t>(offset);
        std::vector<uint8_t> bytes(length, static_cast<uint8_t>(i));
        switch (random() % 4) {
            case 0:
                ASSERT_TRUE(finish(device.write_zeroes(offset, length, true), &late).ok());
                std::fill_n(at, length, uint8_t{0});
                break;
            case 1:
                ASSERT_TRUE(finish(device.read(offset, Buffers(std::span(bytes))), &late).ok());
                ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), at));
                break;
            default: {
                // Two that share a block.
                const uint64_t middle = length / 2;
                auto first = device.write(offset, Buffers(std::span(bytes).first(middle)));
                auto second = device.write(offset + middle, Buffers(std::span(bytes).subspan(middle)));
                ASSERT_TRUE(finish(std::move(second), &late).ok());
                ASSERT_TRUE(finish(std::move(first), &late).ok());
                std::ranges::copy(bytes, at);
            }
        }
    }
    std::vector<uint8_t> all(kSize);
    ASSERT_TRUE(finish(device.read(0, Buffers(std::span(all))), &late).ok());
    EXPECT_TRUE(all == model);
}

TEST(CopyOnWrite, KeepsChangesToItself) {
    MemoryDisk lower = random_disk(), changes;
    const auto original = lower.bytes;
    LateCompletions late(1);
    CopyOnWrite layer(std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{false, false, &late}),
                      std::make_unique<MemoryDevice>(changes, MemoryDevice::Options{true, true, &late}));
    EXPECT_FALSE(layer.read_only());
    expect_like_model(layer, original, late);
    EXPECT_TRUE(lower.bytes == original);
}

TEST(CopyOnWrite, TakesAFileWithoutAName) {
    const TemporaryFolder folder;
    auto io = IoContext::create();
    ASSERT_TRUE(io.has_value());
    MemoryDisk lower = random_disk();
    auto layer = CopyOnWrite::create(
        **io, std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{.writable = false}), folder.path());
    ASSERT_TRUE(layer.has_value()) << layer.error().message();
    EXPECT_EQ(folder.count(), 0u);
    std::vector<uint8_t> bytes(5000, 9);
    EXPECT_TRUE((*io)->run((*layer)->write(100, Buffers(std::span(bytes)))).ok());
    std::vector<uint8_t> all(kSize);
    EXPECT_TRUE((*io)->run((*layer)->read(0, Buffers(std::span(all)))).ok());
    EXPECT_EQ(all[99], lower.bytes[99]);
    EXPECT_EQ(all[100], 9);
    EXPECT_EQ(all[5100], lower.bytes[5100]);
    EXPECT_EQ((*io)->run((*layer)->extent(0, kSize))->length, 8192u);
}

TEST(ReadCache, AnswersLikeTheDiskBelow) {
    MemoryDisk lower = random_disk();
    LateCompletions late(1);
    ReadCache cache(std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{true, false, &late}),
                    4 * ReadCache::kBlock);
    expect_like_model(cache, lower.bytes, late);
}

TEST(ReadCache, ReadsAgainWithoutTheDisk) {
    MemoryDisk lower = random_disk();
    ReadCache cache(std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}), 4 * ReadCache::kBlock);
    std::vector<uint8_t> bytes(100);
    ASSERT_TRUE(finish(cache.read(5, Buffers(std::span(bytes)))).ok());
    lower.fault = [](uint64_t, uint64_t, bool) { return kIoError; };
    EXPECT_TRUE(finish(cache.read(1000, Buffers(std::span(bytes)))).ok());
    EXPECT_EQ(bytes[0], lower.bytes[1000]);
    EXPECT_EQ(finish(cache.read(ReadCache::kBlock, Buffers(std::span(bytes)))), kIoError);
}

TEST(Bucket, LetsABurstPassAndThenItsRate) {
    constexpr uint64_t kSecond = 1'000'000'000;
    Bucket bucket({.rate = 100, .burst = 10});
    const uint64_t start = kSecond * 1000;
    for (int i = 0; i < 10; i++) EXPECT_EQ(bucket.take(1, start), start);
    EXPECT_EQ(bucket.take(1, start), start + kSecond / 100);
    EXPECT_EQ(bucket.take(1, start + kSecond / 100), start + kSecond / 50);
    // After a rest there is a burst again, and no more than that.
    const uint64_t later = start + 100 * kSecond;
    for (int i = 0; i < 10; i++) EXPECT_EQ(bucket.take(1, later), later);
    EXPECT_GT(bucket.take(1, later), later);
}

TEST(Bucket, IsPaidOffAfterARequestThatIsLargerThanABurst) {
    constexpr uint64_t kSecond = 1'000'000'000;
    Bucket bucket({.rate = 1000, .burst = 100});
    EXPECT_EQ(bucket.take(5000, kSecond), kSecond);
    EXPECT_EQ(bucket.take(1, kSecond), kSecond + kSecond * 4901 / 1000);
    Bucket free({});
    EXPECT_EQ(free.take(UINT64_MAX, kSecond), kSecond);
}

TEST(Throttle, KeepsToItsRateOverManyRequests) {
    auto io = IoContext::create();
    ASSERT_TRUE(io.has_value());
    MemoryDisk lower = random_disk();
    Throttle throttle(**io, std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}),
                      {.requests = {.rate = 1000, .burst = 1}, .bytes = {}});
    const uint64_t before = host_clock().monotonic();
    std::vector<uint8_t> bytes(512);
    for (int i = 0; i < 50; i++) EXPECT_TRUE((*io)->run(throttle.read(0, Buffers(std::span(bytes)))).ok());
    EXPECT_GE(host_clock().monotonic() - before, 49'000'000u);
}

TEST(Throttle, CountsBytes) {
    auto io = IoContext::create();
    ASSERT_TRUE(io.has_value());
    MemoryDisk lower = random_disk();
    Throttle throttle(**io, std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}),
                      {.requests = {}, .bytes = {.rate = 1 << 20, .burst = 4096}});
    const uint64_t before = host_clock().monotonic();
    std::vector<uint8_t> bytes(65536);
    for (int i = 0; i < 4; i++) EXPECT_TRUE((*io)->run(throttle.write(0, Buffers(std::span(bytes)))).ok());
    EXPECT_GE(host_clock().monotonic() - before, 180'000'000u);
    EXPECT_TRUE((*io)->run(throttle.flush()).ok());
}

TEST(Throttle, DisksThatShareAGateShareItsLimits) {
    auto io = IoContext::create();
    ASSERT_TRUE(io.has_value());
    MemoryDisk lower = random_disk();
    auto gate = std::make_shared<ThrottleGate>(**io, ThrottleLimits{.requests = {}, .bytes = {.rate = 1, .burst = 1}});
    Throttle one(std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}), gate);
    Throttle other(std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}), gate);
    std::vector<uint8_t> bytes(65536);
    Task<Status> first = one.write(0, Buffers(std::span(bytes)));
    Task<Status> second = other.write(0, Buffers(std::span(bytes)));
    EXPECT_TRUE(first.done());
    EXPECT_FALSE(second.done()) << "which would take most of a day";
    gate->set_limits({.requests = {}, .bytes = {.rate = 1 << 30, .burst = 0}});
    EXPECT_TRUE((*io)->run(std::move(second)).ok());
    gate->set_limits({});
    EXPECT_TRUE(gate->open());
    Task<Status> third = other.read(0, Buffers(std::span(bytes)));
    EXPECT_TRUE(third.done());
}

TEST(Throttle, LetsAllPassOnceItsLimitsAreGone) {
    auto io = IoContext::create();
    ASSERT_TRUE(io.has_value());
    MemoryDisk lower = random_disk();
    Throttle throttle(**io, std::make_unique<MemoryDevice>(lower, MemoryDevice::Options{}),
                      {.requests = {}, .bytes = {.rate = 1, .burst = 1}});
    std::vector<uint8_t> bytes(65536);
    std::vector<Task<Status>> tasks;
    for (int i = 0; i < 4; i++) tasks.push_back(throttle.write(0, Buffers(std::span(bytes))));
    EXPECT_TRUE(tasks[0].done());
    EXPECT_FALSE(tasks[1].done()) << "which would take most of a day";
    throttle.set_limited(false);
    for (Task<Status>& task : tasks) EXPECT_TRUE((*io)->run(std::move(task)).ok());
}

}  // namespace
}  // namespace doppel::storage
