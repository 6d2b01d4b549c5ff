#include "image/make/apt_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_folder.h"

namespace doppel::image {

namespace {

TEST(AptArchive, ReadsTheFirstStanza) {
    auto package = parse_package(
        "Package: busybox-static\nVersion: 1:1.37.0-6+b9\nDepends: a, b (= 1)\nDescription: x\n Size: 9\nSize: "
        "941532\n\n"
        "Package: other\nSize: 1\n");
    ASSERT_TRUE(package);
    EXPECT_EQ(package->name, "busybox-static");
    EXPECT_EQ(package->version, "1:1.37.0-6+b9");
    EXPECT_EQ(package->depends, "a, b (= 1)");
    EXPECT_EQ(package->size, 941532u);
}

TEST(AptArchive, RefusesStanzasThatCannotBe) {
    for (const char* stanza :
         {"", "Package: x\n", "Package: ok\nVersion: 1\n", "Package: ok\nVersion: 1\nSize: 0\n",
          "Package: ok\nVersion: 1\nSize: 99999999999999999999999\n", "Package: --force\nVersion: 1\nSize: 3\n",
          "Package: ok\nVersion: 1 2\nSize: 3\n", "Package: ok\nVersion: $(x)\nSize: 3\n"}) {
        EXPECT_FALSE(parse_package(stanza)) << stanza;
    }
}

TEST(AptArchive, FindsTheVersionedKernelAmongDependencies) {
    EXPECT_EQ(dependency("linux-image-6.12.1+deb13-riscv64 (= 6.12.1-1)", "linux-image-"),
              "linux-image-6.12.1+deb13-riscv64");
    EXPECT_EQ(dependency("libc6, linux-image-6:any | other", "linux-image-"), "linux-image-6");
    EXPECT_EQ(dependency("libc6 (>= 2), other", "linux-image-"), "");
    EXPECT_EQ(dependency("", "linux-image-"), "");
    EXPECT_EQ(dependency("linux-image-$(reboot)", "linux-image-"), "");
}

TEST(AptArchive, ReadsPercentagesOfAptsProgress) {
    EXPECT_EQ(parse_percentage("dlstatus:2:10.5:Retrieving file 2 of 2"), 10.5);
    EXPECT_EQ(parse_percentage("dlstatus:1:0.0000:"), 0.0);
    for (const char* line : {"", "dlstatus:", "dlstatus:1", "dlstatus:1:", "dlstatus:1:x:", "dlstatus:1:101:",
                             "dlstatus:1:-1:", "dlstatus:1:nan:", "pmstatus:1:50:"}) {
        EXPECT_FALSE(parse_percentage(line)) << line;
    }
}

TEST(AptArchive, RefusesOptionsThatWouldReachIntoAptsFiles) {
    TestFolder directory;
    auto keyring = directory.write("keys.gpg", "");
    ArchiveOptions good{"stable", "http://host/debian", "riscv64", keyring};
    auto refused = [&](ArchiveOptions options) {
        auto archive = AptArchive::open(directory.path() / "root", std::move(options));
        return !archive && !std::filesystem::exists(directory.path() / "root");
    };
    auto with = [&](auto change) {
        ArchiveOptions options = good;
        change(options);
        return options;
    };
    EXPECT_TRUE(refused(with([](auto& o) { o.suite = "stable\nTrusted: yes"; })));
    EXPECT_TRUE(refused(with([](auto& o) { o.suite = "../x"; })));
    EXPECT_TRUE(refused(with([](auto& o) { o.architecture = "riscv64\"; Dir \"/"; })));
    EXPECT_TRUE(refused(with([](auto& o) { o.mirror = "http://host/\nTrusted: yes"; })));
    EXPECT_TRUE(refused(with([](auto& o) { o.keyring = "/nonexistent"; })));
    EXPECT_TRUE(refused(with([&](auto& o) { o.keyring = directory.write("a b.gpg", ""); })));
}

}  // namespace

}  // namespace doppel::image
