#include "image/make/debian/unpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "image/make/deb_builder.h"
#include "image/make/debian/dpkg_database.h"
#include "image/test_folder.h"

namespace doppel::image {
namespace {

using testing::HasSubstr;

const std::string kControl =
    "Package: thing\nVersion: 1.0-1\nArchitecture: riscv64\nMulti-Arch: same\nDescription: x\n";

class Unpack : public testing::Test {
  protected:
    Result<UnpackedPackage> unpack(const std::vector<TarEntry>& data, const std::vector<TarEntry>& control) {
        std::filesystem::create_directories(folder_ / "tree");
        auto tree = TreeWriter::open(folder_ / "tree");
        if (!tree) return fail(tree.error());
        tree_.emplace(std::move(*tree));
        return unpack_deb(folder_.write("x.deb", build_deb(build_tar(data), "data.tar.xz", build_tar(control))), *tree_,
                          attributes_);
    }
    std::string read(const std::string& path) const { return TestFolder::read(folder_ / "tree" / path); }

    TestFolder folder_;
    std::optional<TreeWriter> tree_;
    std::vector<Attributes> attributes_;
};

TEST_F(Unpack, WritesFilesFoldersAndLinks) {
    const auto made = unpack({{.path = "./", .type = AE_IFDIR, .mode = 0755},
                              {.path = "./usr/", .type = AE_IFDIR, .mode = 0755},
                              {.path = "./usr/bin/", .type = AE_IFDIR, .mode = 0755},
                              {.path = "./usr/bin/tool", .content = "tool", .mode = 0755},
                              {.path = "./usr/bin/alias", .type = AE_IFLNK, .target = "tool"}},
                             {{.path = "./control", .content = kControl}});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(read("usr/bin/alias"), "tool");
    EXPECT_THAT(made->paths, testing::ElementsAre("/.", "/usr", "/usr/bin", "/usr/bin/tool", "/usr/bin/alias"));
    EXPECT_EQ(made->control.at("control"), kControl);
    EXPECT_TRUE(attributes_.empty());
}

TEST_F(Unpack, KeepsSpecialBitsAndOwnersOutOfTheTreeAndTellsOfThem) {
    ASSERT_TRUE(unpack({{.path = "./bin/su", .content = "x", .mode = 04755},
                        {.path = "./etc/shadow", .content = "x", .mode = 0040, .gid = 42}},
                       {{.path = "control", .content = kControl}}));
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / "tree" / "bin/su").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0755u);
    ASSERT_EQ(::stat((folder_ / "tree" / "etc/shadow").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0440u);
    ASSERT_EQ(attributes_.size(), 2u);
    EXPECT_EQ(attributes_[0].mode, 04755u);
    EXPECT_EQ(attributes_[1].path, "etc/shadow");
    EXPECT_EQ(attributes_[1].gid, 42u);
}

TEST_F(Unpack, FollowsLinksOfTheTreeButNeverOut) {
    folder_.write("outside", "untouched");
    ASSERT_TRUE(unpack({{.path = "./lib", .type = AE_IFLNK, .target = "/usr/lib"},
                        {.path = "./usr/lib/", .type = AE_IFDIR, .mode = 0755},
                        {.path = "./lib/x.so", .content = "library"},
                        {.path = "./up", .type = AE_IFLNK, .target = "../../../.."},
                        {.path = "./up/outside", .content = "changed"}},
                       {{.path = "control", .content = kControl}}));
    EXPECT_EQ(read("usr/lib/x.so"), "library");
    EXPECT_EQ(read("outside"), "changed");
    EXPECT_EQ(TestFolder::read(folder_ / "outside"), "untouched");
}

TEST_F(Unpack, RefusesWhatIsNoPackage) {
    EXPECT_FALSE(unpack({{.path = "x", .content = "x"}}, {}));
    EXPECT_FALSE(unpack({{.path = "dev/null", .type = AE_IFCHR}}, {{.path = "control", .content = kControl}}));
    EXPECT_FALSE(unpack({{.path = "a\nb", .content = "x"}}, {{.path = "control", .content = kControl}}));
    EXPECT_FALSE(unpack({}, {{.path = "../control", .content = kControl}}));
}

TEST_F(Unpack, TheDatabaseKnowsThePackageAsUnpacked) {
    const auto made = unpack({{.path = "./etc/thing.conf", .content = "setting\n"}},
                             {{.path = "control", .content = kControl},
                              {.path = "conffiles", .content = "/etc/thing.conf\nremove-on-upgrade /etc/gone\n"},
                              {.path = "preinst", .content = "#!/bin/sh\n"},
                              {.path = "triggers", .content = "interest-noawait /usr/lib/x\ninterest cache\n"}});
    ASSERT_TRUE(made);
    DpkgDatabase database;
    ASSERT_TRUE(database.add(*made, *tree_));
    ASSERT_TRUE(database.finish(*tree_));
    // md5sum of "setting\n"
    EXPECT_EQ(read("var/lib/dpkg/status"), kControl +
                                               "Status: install ok unpacked\nConffiles:\n"
                                               " /etc/thing.conf 2c1d4f59f062ce424618f4d25961fb76\n\n");
    EXPECT_EQ(read("var/lib/dpkg/info/thing:riscv64.list"), "/etc/thing.conf\n");
    EXPECT_EQ(read("var/lib/dpkg/triggers/File"), "/usr/lib/x thing:riscv64/noawait\n");
    EXPECT_EQ(read("var/lib/dpkg/triggers/cache"), "thing:riscv64\n");
    EXPECT_THAT(database.preinsts(), testing::ElementsAre("thing:riscv64.preinst"));
    EXPECT_EQ(database.packages().at("thing"), "1.0-1");
}

TEST_F(Unpack, TheDatabaseRefusesAPackageWithoutAName) {
    const auto made = unpack({}, {{.path = "control", .content = "Package: ../x\nVersion: 1\n"}});
    ASSERT_TRUE(made);
    DpkgDatabase database;
    EXPECT_FALSE(database.add(*made, *tree_));
}

TEST(DpkgDatabase, TriggersThatWouldLeaveTheirFolderAreLeftOut) {
    EXPECT_TRUE(
        interests_of("interest ../x\ninterest .hidden\ninterest a/b\nactivate x\n# interest y\ninterest\n").empty());
    const auto found = interests_of("interest-await  /a/b  # why\n");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].trigger, "/a/b");
    EXPECT_TRUE(found[0].await);
}

}  // namespace
}  // namespace doppel::image
