#include "image/make/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/make/digest.h"
#include "image/test_folder.h"

namespace doppel::image {

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Staging, VanishesUnlessPublished) {
    TestFolder directory;
    fs::path path = directory.path() / "staging";
    {
        auto staging = Staging::create(path);
        ASSERT_TRUE(staging);
        directory.write("staging/deep/file", "x");
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(Staging, ClearsWhatAKilledMakerLeft) {
    TestFolder directory;
    directory.write("staging/old", "x");
    auto staging = Staging::create(directory.path() / "staging");
    ASSERT_TRUE(staging);
    EXPECT_TRUE(fs::is_empty(staging->path()));
}

TEST(Staging, PublishesOverWhatIsThere) {
    TestFolder directory;
    directory.write("image/file", "old");
    directory.write("image/only-old", "old");
    {
        auto staging = Staging::create(directory.path() / "staging");
        ASSERT_TRUE(staging);
        directory.write("staging/made/file", "new");
        auto published = staging->publish("made", directory.path() / "image");
        ASSERT_TRUE(published) << published.error().message();
    }
    EXPECT_EQ(TestFolder::read(directory.path() / "image/file"), "new");
    EXPECT_FALSE(fs::exists(directory.path() / "image/only-old"));
    EXPECT_FALSE(fs::exists(directory.path() / "staging"));
}

TEST(Staging, AsksForSpaceInWordsThatHelp) {
    TestFolder directory;
    EXPECT_TRUE(check_free_space(directory.path(), 0));
    auto refused = check_free_space(directory.path(), ~uint64_t{0});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("are needed; free some space there"));
    EXPECT_FALSE(check_free_space(directory.path() / "missing", 0));
}

TEST(Digest, IsSha256) {
    TestFolder directory;
    auto measured = measure_file(directory.write("abc", "abc"));  // FIPS 180-2, appendix B.1
    ASSERT_TRUE(measured);
    EXPECT_EQ(measured->size, 3u);
    EXPECT_EQ(measured->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_FALSE(measure_file(directory.path() / "missing"));
}

}  // namespace

}  // namespace doppel::image
