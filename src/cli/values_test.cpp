#include "cli/values.h"

#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

TEST(Count, TakesDigitsOnly) {
    EXPECT_EQ(*parse_count("16", "--cpus"), 16u);
    EXPECT_EQ(*parse_count("18446744073709551615", "--cpus"), UINT64_MAX);
    for (const char* bad : {"", "two", "2x", "-1", "+1", " 1", "99999999999999999999"}) {
        const auto count = parse_count(bad, "--cpus");
        ASSERT_FALSE(count) << bad;
        EXPECT_EQ(count.error().kind, ErrorKind::kUsage);
        EXPECT_EQ(count.error().subject, "--cpus");
    }
}

}  // namespace
}  // namespace doppel::cli
