#include "network/checksum.h"

#include <gtest/gtest.h>

#include <vector>

namespace doppel::network {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(Checksum, IsThatOfTheSpecificationsExample) {  // RFC 1071, 3
    EXPECT_EQ(ones_sum(Bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2);
}

TEST(Checksum, TakesAnOddByteForTheHigherOfTwo) {
    EXPECT_EQ(ones_sum(Bytes{0x12}), 0x1200);
    EXPECT_EQ(ones_sum(Bytes{0x12, 0x34, 0x56}), 0x12 * 256 + 0x34 + 0x5600);
    EXPECT_EQ(ones_sum({}), 0);
}

TEST(Checksum, AgreesWithTheDefinitionForAnyLength) {
    Bytes bytes;
    for (uint32_t i = 0, value = 1; i < 70'000; i++) {
        if (i % 997 < 40 || i > 69'990) {
            uint32_t sum = 0;
            for (size_t at = 0; at < bytes.size(); at += 2) {
                sum += uint32_t{bytes[at]} << 8 | (at + 1 < bytes.size() ? bytes[at + 1] : 0);
                sum = (sum & 0xffff) + (sum >> 16);
            }
            ASSERT_EQ(ones_sum(bytes), sum) << i;
        }
        value = value * 1664525 + 1013904223;
        bytes.push_back(static_cast<uint8_t>(value >> 24));
    }
}

TEST(Checksum, CompletedMakesTheWholeSumAllOnes) {
    Bytes frame(60);
    for (size_t i = 0; i < frame.size(); i++) frame[i] = static_cast<uint8_t>(i * 37);
    const Bytes before = frame;
    frame[34 + 16] = 0x12, frame[34 + 17] = 0x34;  // the pseudo header's, as drivers leave it
    const uint16_t pseudo = 0x1234;
    complete_checksum(frame, 34, 16);
    EXPECT_EQ(Bytes(frame.begin(), frame.begin() + 50), Bytes(before.begin(), before.begin() + 50));
    uint32_t sum = ones_sum(std::span(frame).subspan(34)) + uint32_t{pseudo};
    sum = (sum & 0xffff) + (sum >> 16);
    EXPECT_EQ(sum, 0xffffu);
}

}  // namespace
}  // namespace doppel::network
