#include "machine/console/escape_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace doppel::machine {
namespace {

EscapeFilter::Result type(EscapeFilter& filter, std::string_view keys) {
    return filter.filter({reinterpret_cast<const uint8_t*>(keys.data()), keys.size()});
}

std::string text(const EscapeFilter::Result& result) {
    return {result.bytes.begin(), result.bytes.end()};
}

TEST(EscapeFilter, LetsOrdinaryKeysThrough) {
    EscapeFilter filter;
    const std::string keys("ls\r\x03\x1b[A\x00\xff", 8);
    const auto result = type(filter, keys);
    EXPECT_EQ(text(result), keys);
    EXPECT_FALSE(result.quit || result.help);
}

TEST(EscapeFilter, QuitsAndDropsWhatFollows) {
    EscapeFilter filter;
    const auto result = type(filter, "ab\x01xrm");
    EXPECT_EQ(text(result), "ab");
    EXPECT_TRUE(result.quit);
}

TEST(EscapeFilter, RemembersTheEscapeBetweenPieces) {
    EscapeFilter filter;
    EXPECT_EQ(text(type(filter, "a\x01")), "a");
    EXPECT_TRUE(type(filter, "x").quit);
}

TEST(EscapeFilter, ShowsHelpAndGoesOn) {
    EscapeFilter filter;
    const auto result = type(filter, "\x01hb");
    EXPECT_TRUE(result.help);
    EXPECT_EQ(text(result), "b");
}

TEST(EscapeFilter, SendsTheEscapeItself) {
    EscapeFilter filter;
    EXPECT_EQ(text(type(filter, "\x01\x01")), "\x01");
    EXPECT_EQ(text(type(filter,
                        "\x01"
                        "ax")),
              "\x01x");
}

TEST(EscapeFilter, SwallowsUnknownCommands) {
    EscapeFilter filter;
    const auto result = type(filter, "\x01zq");
    EXPECT_EQ(text(result), "q");
    EXPECT_FALSE(result.quit || result.help);
}

}  // namespace
}  // namespace doppel::machine
