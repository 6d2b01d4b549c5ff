#include "base/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

namespace doppel {
namespace {

TEST(Program, AnExecutableIsFoundBesideThisOne) {
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    const auto found = beside(self.filename());
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, self.string());
}

TEST(Program, OneThatIsMissingIsNamedWhereItWouldBe) {
    const auto found = beside("doppel-that-is-missing");
    ASSERT_TRUE(found);
    EXPECT_THAT(cannot_start(*found, ENOENT).message(), testing::HasSubstr("install doppel whole"));
    EXPECT_THAT(cannot_start(*found, EACCES).message(), testing::Not(testing::HasSubstr("install")));
}

}  // namespace
}  // namespace doppel
