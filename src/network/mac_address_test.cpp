#include "network/mac_address.h"

#include <gtest/gtest.h>

namespace doppel::network {
namespace {

TEST(MacAddress, IsReadAsItIsWritten) {
    EXPECT_EQ(*mac_from("02:00:00:a0:0b:ff"), (MacAddress{2, 0, 0, 0xa0, 0xb, 0xff}));
    EXPECT_EQ(text_of(*mac_from("02:00:00:A0:0b:ff")), "02:00:00:a0:0b:ff");
}

TEST(MacAddress, IsNothingElse) {
    for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:0", "02-00-00-00-00-00", "02:00:00:00:00:0g",
                             "02:00:00:00:00:00:", "+2:00:00:00:00:00", "02:00:00:00:00:-1"})
        EXPECT_FALSE(mac_from(text).has_value()) << text;
}

TEST(MacAddress, OfATextIsLocalAndAlwaysTheSame) {
    EXPECT_EQ(mac_for("lab/web"), mac_for("lab/web"));
    EXPECT_NE(mac_for("lab/web"), mac_for("lab/db"));
    EXPECT_EQ(mac_for("lab/web")[0] & 3, 2);
}

}  // namespace
}  // namespace doppel::network
