#include "image/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_folder.h"

namespace doppel::image {

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class CatalogTest : public testing::Test {
  protected:
    Image example(const std::string& name, const std::string& arch = "riscv64") {
        Image image;
        image.name = name;
        image.arch = arch;
        image.kind = "machine";
        image.description = "an example";
        image.created = "2026-01-02T03:04:05Z";
        image.append = "quiet";
        image.kernel_version = "6.12.0";
        image.packages = {{"busybox-static", "1:1.37.0-6"}};
        image.files = {{"kernel", {6, std::string(64, 'a')}}, {"initrd", {7, std::string(64, 'b')}}};
        return image;
    }
    void store(const Image& image) {
        std::string directory = "images/" + image.name + "-" + image.arch;
        directory_.write(directory + "/kernel", "kernel");
        directory_.write(directory + "/initrd", "initrd!");
        directory_.write(directory + "/image.json", to_json(image));
    }
    fs::path file(const std::string& name) { return directory_.path() / "images" / name; }

    TestFolder directory_;
    Catalog catalog_{directory_.path() / "images"};
};

TEST_F(CatalogTest, IsEmptyWhereNothingWasEverMade) {
    auto listing = catalog_.list();
    ASSERT_TRUE(listing);
    EXPECT_TRUE(listing->images.empty());
    auto found = catalog_.find("tiny");
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
    EXPECT_FALSE(fs::exists(directory_.path() / "images")) << "looking must create nothing";
}

TEST_F(CatalogTest, FindsAnImageWithAllThatItsRecordSays) {
    store(example("tiny"));
    auto found = catalog_.find("tiny");
    ASSERT_TRUE(found) << found.error().message();
    ASSERT_TRUE(*found);
    const Image& image = **found;
    EXPECT_EQ(image.name, "tiny");
    EXPECT_EQ(image.arch, "riscv64");
    EXPECT_EQ(image.kind, "machine");
    EXPECT_EQ(image.description, "an example");
    EXPECT_EQ(image.created, "2026-01-02T03:04:05Z");
    EXPECT_EQ(image.append, "quiet");
    EXPECT_EQ(image.kernel_version, "6.12.0");
    EXPECT_EQ(image.packages.at("busybox-static"), "1:1.37.0-6");
    EXPECT_EQ(image.files.at("initrd").sha256, std::string(64, 'b'));
    EXPECT_EQ(image.size(), 13u);
    EXPECT_EQ(TestFolder::read(image.kernel()), "kernel");
    EXPECT_EQ(TestFolder::read(image.initrd()), "initrd!");
}

TEST_F(CatalogTest, AsksForTheArchitectureOnlyWhereThereAreSeveral) {
    store(example("tiny", "riscv64"));
    store(example("tiny", "arm64"));
    auto unclear = catalog_.find("tiny");
    ASSERT_FALSE(unclear);
    EXPECT_EQ(unclear.error().kind, ErrorKind::kUsage);
    auto found = catalog_.find("tiny", "arm64");
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->arch, "arm64");
    auto other = catalog_.find("tiny", "amd64");
    ASSERT_TRUE(other);
    EXPECT_FALSE(*other);
}

TEST_F(CatalogTest, ListsImagesByNameAndPassesOverWhatIsNotOne) {
    store(example("b"));
    store(example("a-b"));
    directory_.write("images/.staging-c-riscv64/image.json", "{}");
    directory_.write("images/.lock", "");
    auto listing = catalog_.list();
    ASSERT_TRUE(listing);
    ASSERT_EQ(listing->images.size(), 2u);
    EXPECT_EQ(listing->images[0].name, "a-b");
    EXPECT_EQ(listing->images[1].name, "b");
    EXPECT_TRUE(listing->damaged.empty());
}

TEST_F(CatalogTest, NamesWhatIsDamagedAndTheCure) {
    store(example("cut"));
    fs::resize_file(file("cut-riscv64/kernel"), 3);
    store(example("gone"));
    fs::remove(file("gone-riscv64/initrd"));
    store(example("torn"));
    directory_.write("images/torn-riscv64/image.json", "{\"format\": 1, \"na");
    store(example("empty"));
    fs::remove(file("empty-riscv64/image.json"));
    store(example("moved"));
    fs::rename(file("moved-riscv64"), file("other-riscv64"));
    store(example("whole"));

    auto listing = catalog_.list();
    ASSERT_TRUE(listing);
    EXPECT_THAT(listing->images, ElementsAre(testing::Field(&Image::name, "whole")));
    EXPECT_EQ(listing->damaged.size(), 5u);
    for (const char* name : {"cut", "gone", "torn", "empty", "other"}) {
        auto found = catalog_.find(name);
        ASSERT_FALSE(found) << name;
        EXPECT_THAT(found.error().message(), HasSubstr(std::string("doppel image rm ") + name));
    }
}

TEST_F(CatalogTest, RemovesEveryArchitectureAndDamagedImagesToo) {
    store(example("tiny", "riscv64"));
    store(example("tiny", "arm64"));
    store(example("tiny-er"));
    directory_.write("images/tiny-arm64/image.json", "garbage");
    ASSERT_TRUE(catalog_.remove("tiny"));
    EXPECT_FALSE(fs::exists(file("tiny-riscv64")));
    EXPECT_FALSE(fs::exists(file("tiny-arm64")));
    EXPECT_TRUE(fs::exists(file("tiny-er-riscv64")));
    auto again = catalog_.remove("tiny");
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message(), HasSubstr("no image of that name"));
}

TEST_F(CatalogTest, NeverTakesAPathForAName) {
    directory_.write("outside-riscv64/image.json", "{}");
    for (const char* name : {"../outside", "/", "", ".", "..", "a/b", "A", "-a"}) {
        auto removed = catalog_.remove(name);
        ASSERT_FALSE(removed) << name;
        EXPECT_EQ(removed.error().kind, ErrorKind::kUsage) << name;
        auto found = catalog_.find(name);
        ASSERT_TRUE(found) << name;
        EXPECT_FALSE(*found) << name;
    }
    EXPECT_TRUE(fs::exists(directory_.path() / "outside-riscv64"));
}

TEST_F(CatalogTest, RefusesRecordsThatLackOrMistypeAKey) {
    std::string whole = to_json(example("tiny"));
    ASSERT_TRUE(parse_image(whole, "test"));
    for (auto [from, to] : {std::pair{"\"format\": 1", "\"format\": 2"},
                            {"\"name\": \"tiny\"", "\"name\": 7"},
                            {"\"created\"", "\"creation\""},
                            {"\"size\": 6", "\"size\": -6"},
                            {"\"size\": 6", "\"size\": \"6\""},
                            {"\"kernel\":", "\"../../kernel\":"},
                            {"\"initrd\":", "\"initramfs\":"},
                            {"\"1:1.37.0-6\"", "[]"},
                            {"aaaa", "a"}}) {
        std::string text = whole;
        size_t found = text.find(from);
        ASSERT_NE(found, text.npos) << from;
        text.replace(found, std::string_view(from).size(), to);
        EXPECT_FALSE(parse_image(text, "test")) << to;
    }
    for (const char* text : {"", "[]", "7", "{}", "\xff\xfe", "{\"format\": 1}"})
        EXPECT_FALSE(parse_image(text, "test")) << text;
}

class CacheDirectory : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* name : {"XDG_CACHE_HOME", "HOME"}) {
            const char* value = ::getenv(name);
            before_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
        }
    }
    void TearDown() override {
        for (const auto& [name, value] : before_) {
            value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
        }
    }
    std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

TEST_F(CacheDirectory, FollowsTheXdgSpecification) {
    ::setenv("HOME", "/home/someone", 1);
    ::setenv("XDG_CACHE_HOME", "/cache", 1);
    EXPECT_EQ(*cache_directory(), "/cache/doppel");
    ::setenv("XDG_CACHE_HOME", "relative", 1);
    EXPECT_EQ(*cache_directory(), "/home/someone/.cache/doppel");
    ::unsetenv("XDG_CACHE_HOME");
    EXPECT_EQ(*cache_directory(), "/home/someone/.cache/doppel");
    ::unsetenv("HOME");
    EXPECT_FALSE(cache_directory());
}

}  // namespace

}  // namespace doppel::image
