#include "image/make/apt_mirror.h"

#include <gtest/gtest.h>

namespace doppel::image {

namespace {

TEST(AptMirror, TakesTheMainArchiveByItsOrigin) {
    EXPECT_EQ(choose_mirror("http://other/ubuntu|Ubuntu|Ubuntu|noble|main\n"
                            "http://m/debian-security|Debian|Debian-Security|bookworm-security|main\n"
                            "http://m/backports|Debian Backports|Debian Backports|bookworm-backports|main\n"
                            "http://m/contrib|Debian|Debian|bookworm|contrib\n"
                            "http://m/any/name|Debian|Debian|bookworm|main\n"
                            "http://second/debian|Debian|Debian|trixie|main\n"),
              "http://m/any/name");
}

TEST(AptMirror, GoesByAddressesBeforeTheFirstUpdate) {
    EXPECT_EQ(choose_mirror("https://packages.host/apt|$(ORIGIN)|$(LABEL)|stable|main\n"
                            "http://m/debian-security|$(ORIGIN)|$(LABEL)|bookworm-security|main\n"
                            "http://m/debian|$(ORIGIN)|$(LABEL)|bookworm|main\n"),
              "http://m/debian");
    EXPECT_EQ(choose_mirror("mirror+file:/etc/apt/mirrors/debian-security.list||||main\n"
                            "mirror+file:/etc/apt/mirrors/debian.list|||trixie|main\n"),
              "mirror+file:/etc/apt/mirrors/debian.list");
}

TEST(AptMirror, FindsNoneElsewhere) {
    for (const char* lines :
         {"", "\n\n", "garbage", "a|b|c", "http://m/ubuntu|Ubuntu|Ubuntu|noble|main\n", "|Debian|Debian|x|main\n",
          "http://m/deb ian|Debian|Debian|x|main", "http://m/debian|Debian|Debian|x|main|extra\n"}) {
        EXPECT_EQ(choose_mirror(lines), "") << lines;
    }
}

TEST(AptMirror, AddressesHaveASchemeAndNoBlanks) {
    for (const char* good : {"http://h/debian", "file:/srv/debian", "mirror+file:/etc/list"})
        EXPECT_TRUE(is_mirror_address(good)) << good;
    for (const char* bad : {"", "h", "http:", ":x", "http://h/a b", "http://h/\nSigned-By: x", "/debian"}) {
        EXPECT_FALSE(is_mirror_address(bad)) << bad;
    }
}

}  // namespace

}  // namespace doppel::image
