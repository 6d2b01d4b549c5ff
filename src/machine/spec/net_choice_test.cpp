#include "machine/spec/net_choice.h"

#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

TEST(NetChoice, IsReadAsItIsWritten) {
    EXPECT_EQ(*net_from("user"), NetChoice{});
    EXPECT_EQ(*net_from("user,restrict"), (NetChoice{NetKind::kUser, true}));
    EXPECT_EQ(net_from("switch:lab,vlan=7,pin")->name, "lab");
    EXPECT_TRUE(net_from("switch:lab,vlan=7,pin")->port.pinned);
    for (const char* text :
         {"user", "user,restrict", "switch:lab", "switch:lab-2,vlan=7,name=web,pin", "tap:tap0", "bridge:br-1"})
        EXPECT_EQ(text_of(*net_from(text)), text);
}

TEST(NetChoice, IsNothingElse) {
    for (const char* text : {"",
                             "users",
                             "User",
                             "user,",
                             ",restrict",
                             "user,restrict,restrict",
                             "restrict",
                             "none",
                             "switch:",
                             "switch",
                             "switch:Lab",
                             "switch:lab,",
                             "switch:lab,restrict",
                             "switch:a.b",
                             "tap:",
                             "bridge:",
                             "tap:0123456789abcdef",
                             "tap:a/b",
                             "tap:a%d",
                             "bridge:a,b"}) {
        const auto net = net_from(text);
        ASSERT_FALSE(net.has_value()) << text;
        EXPECT_EQ(net.error().kind, ErrorKind::kUsage);
        EXPECT_EQ(net.error().subject, "--net");
    }
}

TEST(NetChoice, APublishedPortIsReadOrRefusedByItsOption) {
    EXPECT_EQ(*publish_from("1:2"), (network::Forward{"", 1, 2, false}));
    EXPECT_EQ(publish_from("http").error().subject, "--publish");
}

}  // namespace
}  // namespace doppel::machine
