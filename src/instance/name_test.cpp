#include "instance/name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::instance {
namespace {

using testing::HasSubstr;

TEST(Name, IsMadeOfFewCharacters) {
    for (const char* good : {"a", "0", "dev", "a.b_c-d", "A1"}) EXPECT_TRUE(check_name(good)) << good;
    EXPECT_TRUE(check_name(std::string(64, 'x')));
    for (const char* bad : {"", "-a", ".a", "a b", "a/b", "a:b", "ä", "a\n"}) EXPECT_FALSE(check_name(bad)) << bad;
    EXPECT_FALSE(check_name(std::string(65, 'x')));
}

TEST(Name, IsFoundWholeOrByItsBeginning) {
    const std::vector<std::string> names{"dev", "dev-2", "mail"};
    EXPECT_EQ(*resolve_name("dev", names), 0u);
    EXPECT_EQ(*resolve_name("dev-", names), 1u);
    EXPECT_EQ(*resolve_name("m", names), 2u);
    EXPECT_THAT(resolve_name("de", names).error().message(), HasSubstr("say which: dev, dev-2"));
    EXPECT_THAT(resolve_name("x", names).error().message(), HasSubstr("none of that name"));
    EXPECT_FALSE(resolve_name("", names));
}

TEST(Name, IsGeneratedAndNew) {
    std::string first;
    const std::string second = generated_name([&](const std::string& name) {
        if (first.empty()) first = name;
        return name == first;
    });
    EXPECT_TRUE(check_name(second));
    EXPECT_NE(second, first);
    EXPECT_TRUE(check_name(generated_name([](const std::string&) { return true; })));
    EXPECT_NE(new_id(), new_id());
    EXPECT_EQ(new_id().size(), 16u);
}

}  // namespace
}  // namespace doppel::instance
