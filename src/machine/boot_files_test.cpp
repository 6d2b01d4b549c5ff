#include "machine/boot_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_folder.h"

namespace doppel::machine {
namespace {

void write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
}

std::string read_text(BootFiles& files, const std::filesystem::path& path) {
    const auto content = files.read(path, "read kernel");
    if (!content) return content.error().message();
    return {content->begin(), content->end()};
}

TEST(BootFiles, ReadsAFileAgainWhoseNameIsGone) {
    TemporaryFolder folder;
    BootFiles files;
    write_text(folder / "kernel", "content");
    EXPECT_EQ(read_text(files, folder / "kernel"), "content");
    std::filesystem::remove(folder / "kernel");
    EXPECT_EQ(read_text(files, folder / "kernel"), "content");
}

TEST(BootFiles, ReadsWhatWasWrittenIntoTheFileMeanwhile) {
    TemporaryFolder folder;
    BootFiles files;
    write_text(folder / "kernel", "content");
    EXPECT_EQ(read_text(files, folder / "kernel"), "content");
    write_text(folder / "kernel", "another, longer content");
    EXPECT_EQ(read_text(files, folder / "kernel"), "another, longer content");
    EXPECT_EQ(read_text(files, folder / "kernel"), "another, longer content");
}

TEST(BootFiles, SaysWhichFileCannotBeRead) {
    TemporaryFolder folder;
    BootFiles files;
    EXPECT_THAT(read_text(files, folder / "none"), testing::MatchesRegex("read kernel: .*/none: .*"));
    EXPECT_THAT(read_text(files, folder.path()), testing::HasSubstr("not a regular file"));
    write_text(folder / "none", "there now");
    EXPECT_EQ(read_text(files, folder / "none"), "there now");
}

}  // namespace
}  // namespace doppel::machine
