#include "cli/values.h"

#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

TEST(Size, CountsInPowersOf1024) {
    EXPECT_EQ(*parse_size("--memory", "4096"), 4096u);
    EXPECT_EQ(*parse_size("--memory", "1K"), 1024u);
    EXPECT_EQ(*parse_size("--memory", "512m"), uint64_t{512} << 20);
    EXPECT_EQ(*parse_size("--memory", "3G"), uint64_t{3} << 30);
    EXPECT_EQ(*parse_size("--memory", "16777215T"), uint64_t{16777215} << 40);
}

TEST(Size, RefusesEverythingElse) {
    for (const char* bad :
         {"", "K", "-1", "+1", "1.5G", "1 G", "1GB", "0x10", "16777216T", "99999999999999999999", "1Q", " 1"}) {
        const auto size = parse_size("--memory", bad);
        ASSERT_FALSE(size) << bad;
        EXPECT_EQ(size.error().kind, ErrorKind::kUsage);
        EXPECT_EQ(size.error().subject, "--memory");
    }
}

TEST(Count, TakesDigitsOnly) {
    EXPECT_EQ(*parse_count("--cpus", "16"), 16u);
    for (const char* bad : {"", "two", "2x", "-1", "99999999999999999999"})
        EXPECT_FALSE(parse_count("--cpus", bad)) << bad;
}

}  // namespace
}  // namespace doppel::cli
