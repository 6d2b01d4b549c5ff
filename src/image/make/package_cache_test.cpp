#include "image/make/package_cache.h"

#include <gtest/gtest.h>

#include <chrono>

#include "image/test_folder.h"

namespace doppel::image {
namespace {

TEST(PackageCache, LosesWhatWasUsedLongestAgoUntilTheRestFits) {
    const TestFolder folder;
    const auto now = std::filesystem::file_time_type::clock::now();
    for (int age = 0; age < 4; age++) {
        const auto path = folder.write("p" + std::to_string(age) + "_1_all.deb", std::string(100, 'x'));
        std::filesystem::last_write_time(path, now - std::chrono::hours(age));
    }
    folder.write("lock", std::string(1000, 'x'));
    folder.write("partial/half_1_all.deb", std::string(1000, 'x'));
    ASSERT_TRUE(trim_package_cache(folder.path(), 200));
    EXPECT_TRUE(std::filesystem::exists(folder / "p0_1_all.deb"));
    EXPECT_TRUE(std::filesystem::exists(folder / "p1_1_all.deb"));
    EXPECT_FALSE(std::filesystem::exists(folder / "p2_1_all.deb"));
    EXPECT_FALSE(std::filesystem::exists(folder / "p3_1_all.deb"));
    EXPECT_TRUE(std::filesystem::exists(folder / "partial" / "half_1_all.deb"));
}

TEST(PackageCache, StaysAsItIsWhenItFits) {
    const TestFolder folder;
    folder.write("a_1_all.deb", "x");
    ASSERT_TRUE(trim_package_cache(folder.path(), 1));
    EXPECT_EQ(folder.count(), 1u);
}

}  // namespace
}  // namespace doppel::image
