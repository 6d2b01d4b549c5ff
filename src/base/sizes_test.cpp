#include "base/sizes.h"

#include <gtest/gtest.h>

namespace doppel {
namespace {

TEST(ParseSize, ReadsBytesAndUnits) {
    EXPECT_EQ(*parse_size("0", "--memory"), 0u);
    EXPECT_EQ(*parse_size("4096", "--memory"), 4096u);
    EXPECT_EQ(*parse_size("1K", "--memory"), 1024u);
    EXPECT_EQ(*parse_size("512M", "--memory"), uint64_t{512} << 20);
    EXPECT_EQ(*parse_size("16g", "--memory"), uint64_t{16} << 30);
    EXPECT_EQ(*parse_size("2T", "--memory"), uint64_t{2} << 40);
    EXPECT_EQ(*parse_size("18446744073709551615", "--memory"), UINT64_MAX);
}

TEST(ParseSize, RefusesGarbageAsAUsageError) {
    for (const char* text : {"", "M", "-1", "+1", " 1", "1 ", "1MM", "1MB", "1.5G", "0x10", "1X", "1k\n", "one"}) {
        auto size = parse_size(text, "--memory");
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().kind, ErrorKind::kUsage);
        EXPECT_EQ(size.error().why, "it is not a size") << text;
    }
}

TEST(ParseSize, RefusesOverflow) {
    for (const char* text : {"18446744073709551616", "99999999999999999999999G", "16777216T", "17179869184G"}) {
        auto size = parse_size(text, "--memory");
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().why, "it is too large") << text;
    }
    EXPECT_EQ(*parse_size("16777215T", "--memory"), UINT64_MAX - ((uint64_t{1} << 40) - 1));
}

TEST(ParseSize, NamesTheOption) {
    EXPECT_EQ(parse_size("lots", "--memory").error().message(),
              "usage: --memory lots: it is not a size; give a size like 512M or 2G");
}

TEST(FormatSize, IsReadBackExactly) {
    for (uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{1023}, uint64_t{1024}, uint64_t{1536} << 20,
                           uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX}) {
        EXPECT_EQ(*parse_size(format_size(bytes), "test"), bytes);
    }
    EXPECT_EQ(format_size(uint64_t{1536} << 20), "1536M");
    EXPECT_EQ(format_size(uint64_t{1} << 50), "1024T");
    EXPECT_EQ(format_size(1000), "1000");
}

TEST(FormatSizeRounded, ShowsOneDecimal) {
    EXPECT_EQ(format_size_rounded(0), "0 B");
    EXPECT_EQ(format_size_rounded(1023), "1023 B");
    EXPECT_EQ(format_size_rounded(1024), "1.0 KiB");
    EXPECT_EQ(format_size_rounded(1536), "1.5 KiB");
    EXPECT_EQ(format_size_rounded((1 << 20) - 1), "1023.9 KiB");
    EXPECT_EQ(format_size_rounded(uint64_t{5} << 30), "5.0 GiB");
    EXPECT_EQ(format_size_rounded(UINT64_MAX), "16777215.9 TiB");
}

}  // namespace
}  // namespace doppel
