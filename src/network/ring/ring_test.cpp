#include "network/ring/ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "network/link/message.h"

namespace doppel::network::ring {
namespace {

using Bytes = std::vector<uint8_t>;

struct RingTest : testing::Test {
    static constexpr size_t kSize = 1 << 18;
    Positions positions{};
    alignas(64) std::vector<uint8_t> data = std::vector<uint8_t>(kSize);
    Writer writer{positions, data};
    Reader reader{positions, data};

    static Bytes frame(size_t number, size_t bytes) {
        Bytes made(bytes);
        for (size_t i = 0; i < bytes; i++) made[i] = static_cast<uint8_t>(number * 7 + i);
        return made;
    }
    // What `next` gives; empty: nothing.
    Bytes take() {
        const auto message = reader.next();
        if (!message) return {};
        const auto found = link::frame_of(*message);
        return found ? Bytes(found->bytes.begin(), found->bytes.end()) : Bytes();
    }
    void write_length(size_t at, uint32_t length) { std::memcpy(&data[at], &length, sizeof length); }
};

TEST_F(RingTest, KeepsFramesOfAllSizesInOrderAroundItsEnd) {
    size_t put = 0, taken = 0;
    const auto bytes = [](size_t number) { return kMinFrame + number * 7919 % (kMaxFrame - kMinFrame + 1); };
    while (taken < 2000) {
        while (writer.put({{}, frame(put, bytes(put))})) put++;
        (void)writer.publish();
        const size_t most = 1 + taken % 7;
        for (size_t i = 0; i < most && taken < put; i++, taken++) ASSERT_EQ(take(), frame(taken, bytes(taken)));
        (void)reader.release();
    }
    EXPECT_FALSE(reader.damaged() || writer.damaged());
}

TEST_F(RingTest, CarriesWhatIsLeftToDoToAFrame) {
    const Offload offload{.needs_checksum = true,
                          .checksum_start = 34,
                          .checksum_offset = 16,
                          .segmentation = Segmentation::kTcp4,
                          .segment_bytes = 1448,
                          .header_bytes = 54};
    ASSERT_TRUE(writer.put({offload, frame(1, 9000)}));
    (void)writer.publish();
    EXPECT_EQ(link::frame_of(*reader.next())->offload, offload);
}

TEST_F(RingTest, WakesWhoSleepsOnce) {
    EXPECT_TRUE(reader.sleep());
    ASSERT_TRUE(writer.put({{}, frame(1, 60)}));
    EXPECT_TRUE(writer.publish());
    ASSERT_TRUE(writer.put({{}, frame(2, 60)}));
    EXPECT_FALSE(writer.publish());
    EXPECT_FALSE(reader.sleep()) << "there is something";
    while (writer.put({{}, frame(3, kMaxFrame)})) {
    }
    (void)writer.publish();
    EXPECT_TRUE(writer.wait_for_room());
    EXPECT_FALSE(take().empty());
    EXPECT_TRUE(reader.release());
    EXPECT_FALSE(reader.release());
}

TEST_F(RingTest, AReaderBelievesNothing) {
    const std::vector<std::pair<uint64_t, uint32_t>> lies = {
        {kSize + 8, 100}, {~uint64_t{0}, 100}, {64, kSkip}, {4, 100}, {64, 0}, {64, 29}, {64, 100}, {kSize, 100'000}};
    for (const auto& [written, length] : lies) {
        Positions own{};
        Reader other(own, data);
        write_length(0, length);
        own.written = written;
        EXPECT_FALSE(other.next().has_value()) << written << ' ' << length;
        EXPECT_TRUE(other.damaged()) << written << ' ' << length;
        EXPECT_FALSE(other.next().has_value());
    }
}

TEST_F(RingTest, AWriterBelievesNothing) {
    while (writer.put({{}, frame(1, 60'000)})) {
    }
    positions.read = uint64_t{1} << 40;
    EXPECT_FALSE(writer.put({{}, frame(1, 60'000)}));
    EXPECT_TRUE(writer.damaged());
}

TEST_F(RingTest, TwoThreadsAgree) {
    constexpr size_t kFrames = 20'000;
    std::thread other([&] {
        for (size_t i = 0; i < kFrames;) {
            if (writer.put({{}, frame(i, kMinFrame + i % 3000)})) {
                i++;
                (void)writer.publish();
            } else {
                std::this_thread::yield();
            }
        }
    });
    for (size_t i = 0; i < kFrames;) {
        if (const auto message = reader.next()) {
            const Bytes wanted = frame(i, kMinFrame + i % 3000);
            ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), message->begin() + link::kHeaderBytes)) << i;
            i++;
            (void)reader.release();
        } else {
            std::this_thread::yield();
        }
    }
    other.join();
}

TEST(RingMemory, IsSealedAndNothingElseIsTaken) {
    auto made = Memory::create();
    ASSERT_TRUE(made.has_value());
    EXPECT_NE(ftruncate(made->descriptor(), 10), 0);
    auto again = Memory::open(UniqueFd(dup(made->descriptor())));
    ASSERT_TRUE(again.has_value());
    made->to_member()[5] = 9;
    EXPECT_EQ(again->to_member()[5], 9);
    made->shared().receives = 3;
    EXPECT_EQ(unpack(again->shared().receives), (Offloads{.checksum = true, .tcp4 = true}));
    EXPECT_FALSE(Memory::open(UniqueFd(::open("/dev/null", O_RDWR))).has_value());
}

}  // namespace
}  // namespace doppel::network::ring
