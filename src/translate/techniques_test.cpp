#include "translate/techniques.h"

#include <gtest/gtest.h>

namespace doppel::translate {

TEST(Techniques, AreAllOnUnlessNamed) {
    EXPECT_EQ(techniques_without(""), Techniques{});
    EXPECT_EQ(names_without({}), "");
    Techniques some;
    some.links = some.windows = false;
    EXPECT_EQ(techniques_without("links,windows"), some);
    EXPECT_EQ(names_without(some), "windows,links");
}

TEST(Techniques, CanAllBeSwitchedOff) {
    const auto none = techniques_without("all");
    ASSERT_TRUE(none);
    EXPECT_FALSE(none->windows || none->links || none->huge_pages);
    EXPECT_EQ(techniques_without(names_without(*none)), none);
}

TEST(Techniques, HaveNoOtherNames) {
    for (const char* names : {"window", "windows,", ",windows", "windows,,links", "all,links", "Links", "links "}) {
        EXPECT_FALSE(techniques_without(names)) << names;
    }
    EXPECT_EQ(technique_names().find("windows, fused-compares, "), 0u);
}

}  // namespace doppel::translate
