#include "machine/spec/share_choice.h"

#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

TEST(ShareChoice, IsReadWithPlaceAndFlags) {
    EXPECT_EQ(*share_from("."), (ShareChoice{.path = "."}));
    EXPECT_EQ(*share_from("a:b"), (ShareChoice{.path = "a:b"}));
    EXPECT_EQ(*share_from("/srv:/mnt"), (ShareChoice{.path = "/srv", .guest = "/mnt"}));
    EXPECT_EQ(*share_from("a:/b:/mnt,ro"), (ShareChoice{"a:/b", "/mnt", true, false}));
    EXPECT_EQ(*share_from("a:/b:,snapshot"), (ShareChoice{"a:/b", "", false, true}));
    EXPECT_EQ(*share_from("a:/mnt,owner=1000,ro"), (ShareChoice{"a", "/mnt", true, false, 1000}));
    EXPECT_EQ(*share_from("a,owner=x"), (ShareChoice{.path = "a,owner=x"}));
    EXPECT_EQ(*share_from("a,owner=4294967296"), (ShareChoice{.path = "a,owner=4294967296"}));
    EXPECT_EQ(*share_from("a,ro:"), (ShareChoice{.path = "a,ro"}));
}

TEST(ShareChoice, IsReadAsItIsWritten) {
    for (const ShareChoice& share : {ShareChoice{"a", "", false, false}, ShareChoice{"a:/b,ro", "", true, false},
                                     ShareChoice{":", "/", false, true, 7}})
        EXPECT_EQ(*share_from(text_of(share)), share) << text_of(share);
}

TEST(ShareChoice, RefusesWhatNoKernelCouldBeTold) {
    for (const char* text : {"", ":/mnt", ",ro", "a,ro,snapshot", "a:/m nt", "a:/m\"", "a:/m,x"})
        EXPECT_FALSE(share_from(text).has_value()) << text;
    EXPECT_FALSE(check_share({"a", "mnt"}).has_value());
    EXPECT_FALSE(check_share({"a", "/" + std::string(255, 'm')}).has_value());
}

}  // namespace
}  // namespace doppel::machine
