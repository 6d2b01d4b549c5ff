#include "agent/frame.h"

#include <gtest/gtest.h>

#include <numeric>

namespace doppel::agent {
namespace {

using Found = FrameReader::Found;

std::vector<uint8_t> hello(uint64_t session = 7) {
    std::vector<uint8_t> bytes;
    append_hello(bytes, {.session = session, .services = 0xff});
    return bytes;
}

TEST(Frame, ComesBackAsItWasSentHoweverTheBytesArrive) {
    std::vector<uint8_t> content(kMaxPayload);
    std::iota(content.begin(), content.end(), uint8_t{0});
    std::vector<uint8_t> bytes = hello();
    append_frame(bytes, {FrameType::kData, 1, 0x12345678, content});
    append_frame(bytes, {FrameType::kEnd, 1, 0x12345678, {}});
    for (size_t step : {size_t{1}, size_t{11}, size_t{4096}, bytes.size()}) {
        FrameReader reader;
        std::vector<FrameType> types;
        for (size_t at = 0; at < bytes.size(); at += step) {
            reader.feed(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
            Frame frame;
            while (reader.next(frame) == Found::kFrame) {
                types.push_back(frame.type);
                if (frame.type != FrameType::kData) continue;
                EXPECT_EQ(frame.channel, 0x12345678u);
                EXPECT_TRUE(std::equal(content.begin(), content.end(), frame.payload.begin(), frame.payload.end()));
            }
        }
        EXPECT_EQ(types, (std::vector{FrameType::kHello, FrameType::kData, FrameType::kEnd})) << step;
    }
}

TEST(Frame, ReaderSkipsWhatIsInFrontOfAHello) {
    for (size_t cut : {size_t{0}, size_t{1}, size_t{19}}) {
        FrameReader reader;
        std::vector<uint8_t> bytes(5000, 0x44);
        const auto whole = hello();
        bytes.insert(bytes.end(), whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut));  // one that was cut off
        bytes.insert(bytes.end(), whole.begin(), whole.end());
        Frame frame;
        for (uint8_t byte : bytes) {
            reader.feed({&byte, 1});
            if (reader.next(frame) == Found::kFrame) break;
            EXPECT_LE(reader.kept(), kHeaderSize + kHelloSize);
        }
        ASSERT_EQ(frame.type, FrameType::kHello);
        EXPECT_EQ(parse_hello(frame.payload)->session, 7u);
    }
}

TEST(Frame, ReaderStopsAtWhatIsNoFrameUntilItMayLookForAHelloAgain) {
    std::vector<uint8_t> long_one;
    append_frame(long_one, {FrameType::kData, 0, 1, std::vector<uint8_t>(10)});
    long_one[8] = 0xff, long_one[9] = 0xff;
    std::vector<uint8_t> unknown;
    append_frame(unknown, {static_cast<FrameType>(99), 0, 1, {}});
    for (const auto& bad : {long_one, unknown, std::vector<uint8_t>(12, 0)}) {
        FrameReader reader;
        Frame frame;
        reader.feed(hello());
        ASSERT_EQ(reader.next(frame), Found::kFrame);
        reader.feed(bad);
        EXPECT_EQ(reader.next(frame), Found::kBroken);
        reader.feed(hello());
        EXPECT_EQ(reader.next(frame), Found::kBroken);
        reader.lose();
        EXPECT_EQ(reader.next(frame), Found::kFrame);
    }
}

TEST(Frame, VersionsAgreeOnTheNewestThatBothSpeak) {
    EXPECT_EQ(common_version({.version = 3, .oldest_version = 1}, {.version = 2, .oldest_version = 2}), 2u);
    EXPECT_EQ(common_version({.version = 3, .oldest_version = 3}, {.version = 2, .oldest_version = 1}), std::nullopt);
    EXPECT_EQ(common_version({.version = 1, .oldest_version = 1}, {.version = 5, .oldest_version = 2}), std::nullopt);
    EXPECT_FALSE(parse_hello(std::vector<uint8_t>(kHelloSize)));
    EXPECT_FALSE(parse_hello({}));
}

}  // namespace
}  // namespace doppel::agent
