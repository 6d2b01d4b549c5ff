#include "image/make/deb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "base/unique_fd.h"
#include "image/make/deb_builder.h"
#include "image/test_folder.h"

namespace doppel::image {

namespace {

using testing::HasSubstr;

class Deb : public testing::Test {
  protected:
    Result<std::string> extract(std::string_view deb, const std::string& wanted, const StopRequest& stop = {},
                                const DebLimits& limits = {}) {
        auto file = directory_.write("package.deb", deb);
        return extract_from_deb(
            file, [&](std::string_view path) { return path.starts_with(wanted); }, out_, stop, limits);
    }
    void expect_refused(std::string_view deb, const std::string& why) {
        auto result = extract(deb, "boot/vmlinux-");
        ASSERT_FALSE(result);
        EXPECT_THAT(result.error().message(), HasSubstr(why));
        EXPECT_FALSE(std::filesystem::exists(out_));
    }

    TestFolder directory_;
    std::filesystem::path out_ = directory_.path() / "out";
    const std::vector<TarEntry> kernel_{{"./boot/", "", AE_IFDIR},
                                        {"./boot/config-6.1", "CONFIG"},
                                        {"./boot/vmlinux-6.1", std::string(200'000, 'k')},
                                        {"./boot/vmlinux-6.2", "later"}};
};

TEST_F(Deb, GivesTheFirstFileThatIsWanted) {
    using Filter = int (*)(archive*);
    for (Filter filter : {Filter(archive_write_add_filter_xz), Filter(archive_write_add_filter_gzip),
                          Filter(archive_write_add_filter_zstd), Filter(archive_write_add_filter_none)}) {
        auto result = extract(build_deb(build_tar(kernel_, filter)), "boot/vmlinux-");
        ASSERT_TRUE(result) << result.error().message();
        EXPECT_EQ(*result, "boot/vmlinux-6.1");
        EXPECT_EQ(TestFolder::read(out_), std::string(200'000, 'k'));
        std::filesystem::remove(out_);
    }
}

TEST_F(Deb, PassesOverLinksAndDirectoriesOfThatName) {
    auto tar = build_tar({{"./boot/vmlinux-dir", "", AE_IFDIR},
                          {"./boot/vmlinux-link", "", AE_IFLNK, "/etc/passwd"},
                          {"/boot/vmlinux-file", "x"}});
    auto result = extract(build_deb(tar), "boot/vmlinux-");
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(*result, "boot/vmlinux-file");
}

TEST_F(Deb, RefusesWhatIsNoPackage) {
    expect_refused("", "package.deb");
    expect_refused("hello", "package.deb");
    expect_refused("!<arch>\n", "no data.tar");
    expect_refused(build_deb("not a tar archive"), "package.deb");
    expect_refused(build_deb(build_tar(kernel_), "other.tar.xz"), "no data.tar");
    expect_refused(build_deb(build_tar({{"./etc/hostname", "x"}})), "is not in it");
}

TEST_F(Deb, ReadsAllFilesThatAreWantedAtOnce) {
    auto wanted = [](std::string_view path) { return path == "boot/config-6.1" || path == "lib/x" || path == "y"; };
    auto none = read_from_deb(directory_.write("a.deb", build_deb(build_tar({{"./x", "x"}}))), wanted);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_TRUE(none->empty());
    EXPECT_FALSE(read_from_deb(directory_.write("b.deb", "hello"), wanted));
    auto files = kernel_;
    files.push_back({"./lib/x", "X"});
    const auto deb = directory_.write("c.deb", build_deb(build_tar(files)));
    auto found = read_from_deb(deb, wanted);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, (std::map<std::string, std::vector<uint8_t>>{{"boot/config-6.1", {'C', 'O', 'N', 'F', 'I', 'G'}},
                                                                   {"lib/x", {'X'}}}));
    auto too_large = read_from_deb(deb, wanted, {}, {.file = 5});
    ASSERT_FALSE(too_large);
    EXPECT_THAT(too_large.error().message(), HasSubstr("too large"));
}

TEST_F(Deb, LeavesNothingOfAPackageCutShort) {
    std::string whole = build_deb(build_tar(kernel_, archive_write_add_filter_none), "data.tar");
    for (size_t length : {whole.size() / 2, whole.size() / 4, size_t{300}, size_t{100}, size_t{60}}) {
        SCOPED_TRACE(length);
        expect_refused(whole.substr(0, length), "package.deb");
    }
}

TEST_F(Deb, RefusesMoreBytesThanItsLimits) {
    std::string deb = build_deb(build_tar(kernel_));
    auto too_large = extract(deb, "boot/vmlinux-", {}, {.file = 1000});
    ASSERT_FALSE(too_large);
    EXPECT_THAT(too_large.error().message(), HasSubstr("too large"));
    auto too_deep = extract(deb, "boot/vmlinux-6.2", {}, {.passed = 100'000});
    ASSERT_FALSE(too_deep);
    EXPECT_THAT(too_deep.error().message(), HasSubstr("unpacks to more"));
    EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(Deb, NeverWritesOverAFile) {
    directory_.write("out", "precious");
    EXPECT_FALSE(extract(build_deb(build_tar(kernel_)), "boot/vmlinux-"));
    EXPECT_EQ(TestFolder::read(out_), "precious");
}

TEST_F(Deb, StopsWhenAsked) {
    UniqueFd event(::eventfd(1, EFD_CLOEXEC));
    auto result = extract(build_deb(build_tar(kernel_)), "boot/vmlinux-", StopRequest(event.get()));
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message(), HasSubstr("interrupted"));
    EXPECT_FALSE(std::filesystem::exists(out_));
}

}  // namespace

}  // namespace doppel::image
