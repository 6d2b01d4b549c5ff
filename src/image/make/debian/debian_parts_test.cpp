// The smaller parts of making a Debian.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/make/apt_archive.h"
#include "image/make/debian/boot_modules.h"
#include "image/make/debian/debian.h"
#include "image/make/debian/settings.h"
#include "image/make/debian/setup_machine.h"
#include "image/make/debian/system_files.h"
#include "image/test_folder.h"

namespace doppel::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string module_needing(const std::string& names) {
    return std::string(
               "\x7f"
               "ELF\0license=GPL\0depends=",
               25) +
           names + std::string("\0name=x\0", 8);
}

std::vector<std::string> needs(const std::string& module) {
    return module_dependencies({reinterpret_cast<const uint8_t*>(module.data()), module.size()});
}

TEST(BootModules, AModuleSaysWhatItNeeds) {
    EXPECT_THAT(needs(module_needing("jbd2,crc-itu-t")), ElementsAre("jbd2", "crc_itu_t"));
    EXPECT_THAT(needs(module_needing("")), IsEmpty());
    EXPECT_THAT(needs("no module"), IsEmpty());
    EXPECT_THAT(needs(std::string("\0depends=endless", 16)), IsEmpty());
}

TEST(BootModules, WhatIsNeededInTurnComesAlong) {
    const TestFolder folder;
    folder.write("kernel/a.ko", module_needing("b-b"));
    folder.write("kernel/deep/b_b.ko", module_needing("c"));
    folder.write("kernel/c.ko", module_needing("a"));  // a circle ends
    folder.write("kernel/other.ko", module_needing(""));
    const std::string_view names[] = {"a", "built_in"};
    const auto found = collect_modules(folder.path(), names);
    ASSERT_TRUE(found) << found.error().message();
    ASSERT_EQ(found->size(), 3u);
    EXPECT_EQ((*found)[0].path, "kernel/a.ko");
    EXPECT_THAT((*found)[0].needs, ElementsAre("kernel/deep/b_b.ko", "kernel/c.ko"));
}

TEST(DebianSettings, OnlyNamesThatAreSafeInAScriptAreUsers) {
    for (const char* good : {"root", "ada", "_x", "a-1"}) EXPECT_TRUE(is_user_name(good)) << good;
    for (const char* bad : {"", "Ada", "a b", "1a", "-a", "a;b", "a$b", "a.b", "DOM\\ada"})
        EXPECT_FALSE(is_user_name(bad));
    EXPECT_FALSE(is_user_name(std::string(33, 'a')));
}

TEST(DebianSettings, OnlyPublicKeysAreTaken) {
    EXPECT_EQ(public_keys("# comment\nssh-ed25519 AAAAC3Nz me@here\r\nssh-rsa AAAA+/=\n"),
              "ssh-ed25519 AAAAC3Nz me@here\nssh-rsa AAAA+/=\n");
    EXPECT_EQ(public_keys("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n"), "");
    EXPECT_EQ(public_keys("command=\"x\" ssh-ed25519 AAAA\nssh-ed25519\nssh-ed25519 $(x)\nssh-ed25519 AA\x01 x\n"), "");
}

TEST(SetupMachine, KnowsWhenAPackageIsDone) {
    EXPECT_EQ(configured_package("status: libc6:riscv64: installed\r"), "libc6:riscv64");
    for (const char* line :
         {"", "status: x: unpacked", "status: : installed", "x status: y: installed", "status: installed"})
        EXPECT_EQ(configured_package(line), "") << line;
}

TEST(SystemFiles, SetupNamesTheUserAndEachFileOfOtherOwners) {
    const TestFolder folder;
    auto tree = TreeWriter::open(folder.path());
    ASSERT_TRUE(tree);
    DebianSettings settings{
        "sid", "http://mirror.invalid/debian", "/usr/share/keyrings/x.gpg", {"ada", 1000, "ssh-rsa AA\n"}};
    ASSERT_TRUE(write_system_files(*tree, settings, {}));
    ASSERT_TRUE(write_setup(*tree, settings,
                            {.preinsts = {"a.preinst", "base-passwd.preinst"},
                             .attributes = {{"usr/bin/su do", 0, 42, 04755}},
                             .uuid = "u-u-i-d"}));
    EXPECT_EQ(TestFolder::read(folder / "doppel/preinsts"), "base-passwd.preinst\na.preinst\n");
    EXPECT_EQ(TestFolder::read(folder / "doppel/attributes"), "4755 0:42 usr/bin/su do\n");
    EXPECT_THAT(TestFolder::read(folder / "doppel/setup"), HasSubstr("user=ada uid=1000"));
    EXPECT_THAT(TestFolder::read(folder / "etc/fstab"), HasSubstr("UUID=u-u-i-d / ext4"));
    EXPECT_THAT(TestFolder::read(folder / "etc/apt/sources.list.d/debian.sources"),
                HasSubstr("URIs: http://mirror.invalid/debian\nSuites: sid\n"));
    EXPECT_THAT(TestFolder::read(folder / "etc/systemd/system/serial-getty@ttyS0.service"),
                HasSubstr("--autologin ada "));
    EXPECT_FALSE(std::filesystem::exists(folder / "usr/local/sbin/doppel-agent"));
}

TEST(Debian, RefusesWhatItCannotMakeBeforeAnythingIsFetched) {
    const TestFolder folder;
    const Catalog catalog(folder / "images");
    auto refuses = [&](auto change) {
        DebianOptions options;
        options.archive.architecture = "riscv64";
        change(options);
        const auto made = make_debian(catalog, options);
        return !made && made.error().kind == ErrorKind::kUsage && folder.count() == 0;
    };
    EXPECT_TRUE(refuses([](auto& o) { o.archive.architecture = "arm64"; }));
    EXPECT_TRUE(refuses([](auto& o) { o.size = 1 << 20; }));
    EXPECT_TRUE(refuses([](auto& o) { o.packages = {"gcc;reboot"}; }));
    EXPECT_TRUE(refuses([](auto& o) { o.packages = {"-o=x"}; }));
    EXPECT_TRUE(refuses([](auto& o) { o.user.name = "$(x)"; }));
}

TEST(Makeable, ASuiteIsPartOfTheName) {
    EXPECT_EQ(makeable("tiny"), "tiny");
    EXPECT_EQ(makeable("debian"), "debian");
    EXPECT_EQ(makeable("debian:trixie"), "debian");
    EXPECT_EQ(makeable("debian:sid"), "debian:sid");
    for (const char* bad : {"debian:", "debian:../x", "debian:a b", "debianx", "tiny:x", "", ":sid"})
        EXPECT_FALSE(makeable(bad)) << bad;
}

TEST(AptArchive, ReadsNamesSizesAndDigestsOfWhatIsToBeFetched) {
    const std::string digest(64, 'a');
    const auto files =
        parse_package_files("Reading...\n'http://m/x%2b1.deb' x_1+1_riscv64.deb 123 SHA256:" + digest + "\n");
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].name, "x_1+1_riscv64.deb");
    EXPECT_EQ(files[0].size, 123u);
    EXPECT_EQ(files[0].sha256, digest);
    for (const std::string& bad :
         {"'u' ../x.deb 1 SHA256:" + digest, "'u' .x.deb 1 SHA256:" + digest, "'u' x.deb -1 SHA256:" + digest,
          std::string("'u' x.deb 1 MD5Sum:00"), std::string("'u' x.deb 1 SHA256:00"), "u x.deb 1 SHA256:" + digest})
        EXPECT_THAT(parse_package_files(bad), IsEmpty()) << bad;
}

}  // namespace
}  // namespace doppel::image
