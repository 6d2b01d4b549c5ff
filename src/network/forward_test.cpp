#include "network/forward.h"

#include <gtest/gtest.h>

namespace doppel::network {
namespace {

TEST(Forward, IsReadWithAddressAndProtocolOrWithout) {
    EXPECT_EQ(forward_from("8080:80"), (Forward{"", 8080, 80, false}));
    EXPECT_EQ(forward_from("8080:80/udp"), (Forward{"", 8080, 80, true}));
    EXPECT_EQ(forward_from("127.0.0.1:65535:1/tcp"), (Forward{"127.0.0.1", 65535, 1, false}));
    EXPECT_EQ(forward_from("[::1]:22:2222"), (Forward{"::1", 22, 2222, false}));
}

TEST(Forward, IsWrittenAsItIsRead) {
    for (const char* text : {"8080:80", "1:2/udp", "127.0.0.1:3:4", "[fe80::1]:5:6/udp"}) {
        const auto forward = forward_from(text);
        ASSERT_TRUE(forward.has_value()) << text;
        EXPECT_EQ(text_of(*forward), text);
    }
}

TEST(Forward, IsNothingElse) {
    for (const char* text : {"",
                             "80",
                             ":",
                             "80:",
                             ":80",
                             "0:80",
                             "80:0",
                             "65536:1",
                             "1:65536",
                             "-1:2",
                             "a:b",
                             "1:2/sctp",
                             "localhost:1:2",
                             "::1:1:2",
                             "[::1:1:2",
                             "[127.0.0.1]:1:2",
                             "1.2.3:4:5",
                             "1:2 ",
                             " 1:2",
                             "8080:80/udp/udp"}) {
        EXPECT_EQ(forward_from(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace doppel::network
