#include "machine/boot/command_line.h"

#include <gtest/gtest.h>

namespace doppel::machine::boot {
namespace {

TEST(CommandLine, GetsParametersBehindItsOwn) {
    EXPECT_EQ(with_parameters("quiet", "root=share0 rw"), "quiet root=share0 rw");
    EXPECT_EQ(with_parameters("quiet ", "root=share0"), "quiet root=share0");
    EXPECT_EQ(with_parameters("", "root=share0"), "root=share0");
    EXPECT_EQ(with_parameters("quiet", ""), "quiet");
    EXPECT_EQ(with_parameters("", ""), "");
}

TEST(CommandLine, LeavesTheWordsOfTheFirstProcessBehindThem) {
    EXPECT_EQ(with_parameters("init=/bin/sh -- -c true", "root=share0"), "init=/bin/sh root=share0 -- -c true");
    EXPECT_EQ(with_parameters("-- single", "rw"), "rw -- single");
    EXPECT_EQ(with_parameters("quiet --", "rw"), "quiet rw --");
}

TEST(CommandLine, KnowsOtherDashes) {
    EXPECT_EQ(with_parameters("a=-- --b x=\"y -- z\"", "rw"), "a=-- --b x=\"y -- z\" rw");
}

}  // namespace
}  // namespace doppel::machine::boot
