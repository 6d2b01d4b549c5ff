#include "cli/columns.h"

#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

TEST(Columns, AreAsWideAsTheirWidestCell) {
    EXPECT_EQ(table({{"NAME"}, {"SIZE", true}, {"END"}}, {{"a", "1", "x"}, {"longer", "12345", ""}}),
              "NAME     SIZE  END\n"
              "a           1  x\n"
              "longer  12345  \n");
}

TEST(Columns, NothingIsNoTable) {
    EXPECT_EQ(table({{"NAME"}}, {}), "");
}

}  // namespace
}  // namespace doppel::cli
