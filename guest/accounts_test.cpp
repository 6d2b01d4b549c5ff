#include "guest/accounts.h"

#include <gtest/gtest.h>

namespace doppel::guest {
namespace {

const std::string kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "broken line\n"
    "daemon:x:one:1::/:/bin/false\n"
    "me:x:1000:100:Me,,,:/home/me:/bin/sh\n";
const std::string kGroup = "root:x:0:\nusers:x:100:me\naudio:x:29:pulse,me\ndisk:x:6:mean\n";

TEST(Accounts, AreFoundByNameAndNumberWithAllTheirGroups) {
    for (const char* who : {"me", "1000"}) {
        const auto account = find_account(who, kPasswd, kGroup);
        ASSERT_TRUE(account) << who;
        EXPECT_EQ(account->user, 1000u);
        EXPECT_EQ(account->group, 100u);
        EXPECT_EQ(account->home, "/home/me");
        EXPECT_EQ(account->shell, "/bin/sh");
        EXPECT_EQ(account->groups, (std::vector<gid_t>{100, 29}));
    }
}

TEST(Accounts, TakeAnotherGroupByNameOrNumber) {
    EXPECT_EQ(find_account("me:audio", kPasswd, kGroup)->group, 29u);
    EXPECT_EQ(find_account("root:7", kPasswd, kGroup)->group, 7u);
    EXPECT_FALSE(find_account("me:none", kPasswd, kGroup));
}

TEST(Accounts, NeedNoEntryForANumber) {
    const auto account = find_account("4242:17", kPasswd, kGroup);
    ASSERT_TRUE(account);
    EXPECT_EQ(account->user, 4242u);
    EXPECT_EQ(account->groups, (std::vector<gid_t>{17}));
    EXPECT_EQ(account->home, "");
}

TEST(Accounts, AreNotMadeUp) {
    for (const char* who : {"", "daemon", "nobody", "-1", "4294967295", "99999999999", "broken line"}) {
        EXPECT_FALSE(find_account(who, kPasswd, kGroup)) << who;
    }
}

}  // namespace
}  // namespace doppel::guest
