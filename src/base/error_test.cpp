#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/result.h"

namespace doppel {
namespace {

TEST(Error, JoinsItsPartsIntoOneLine) {
    EXPECT_EQ((Error{"read kernel", "a/Image", "it is empty", "name another"}).message(),
              "read kernel: a/Image: it is empty; name another");
    EXPECT_EQ((Error{"read kernel", "", "it is empty", ""}).message(), "read kernel: it is empty");
    EXPECT_EQ(Error{}.message(), "");
}

TEST(Error, ShowsControlCharactersAsQuestionMarks) {
    EXPECT_EQ((Error{"read", "a\x1b[2Jb\nc\x7f", "caf\xc3\xa9", ""}).message(), "read: a?[2Jb?c?: caf\xc3\xa9");
}

TEST(Error, OfTheSystemNamesCauseAndCure) {
    Error error = Error::system("write file", "/data/x", ENOSPC);
    EXPECT_EQ(error.kind, ErrorKind::kFailed);
    EXPECT_EQ(error.message(), "write file: /data/x: No space left on device; free some space there");
    EXPECT_EQ(Error::system("read", "x", EIO).cure, "");
}

TEST(Error, OfUsageIsOfThatKind) {
    EXPECT_EQ(Error::usage("--cpus 0", "there must be one").kind, ErrorKind::kUsage);
}

Result<int> half_of(int value) {
    if (value % 2 != 0) return fail(Error{"halve", std::to_string(value), "it is odd", ""});
    return value / 2;
}

Result<std::string> quarter_of(int value) {
    DOPPEL_TRY(int half, half_of(value));
    DOPPEL_TRY(int quarter, half_of(half));
    DOPPEL_CHECK(Result<>{});
    return std::to_string(quarter);
}

TEST(Result, IsHandedUpByTry) {
    EXPECT_EQ(*quarter_of(12), "3");
    ASSERT_FALSE(quarter_of(6));
    EXPECT_EQ(quarter_of(6).error().subject, "3");
    EXPECT_EQ(quarter_of(5).error().subject, "5");
}

}  // namespace
}  // namespace doppel
