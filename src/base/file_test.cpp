#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <thread>

#include "base/temporary_folder.h"

namespace doppel {
namespace {

std::string text_of(const std::filesystem::path& path) {
    auto content = read_file(path, 1 << 20, "read test file");
    if (!content) return "ERROR " + content.error().message();
    return {content->begin(), content->end()};
}

TEST(File, ReadsBackWhatWasWritten) {
    TemporaryFolder folder;
    std::string content(200'000, 'x');
    ASSERT_TRUE(write_file_atomically(folder / "a", content));
    EXPECT_EQ(text_of(folder / "a"), content);
    ASSERT_TRUE(write_file_atomically(folder / "a", std::string_view()));
    EXPECT_EQ(text_of(folder / "a"), "");
    EXPECT_EQ(folder.count(), 1u);
}

TEST(File, IsWrittenWithItsMode) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "secret", "x", 0600));
    struct stat status {};
    ASSERT_EQ(::stat((folder / "secret").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(File, ReplacesASymbolicLinkAndNotItsTarget) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "target", "old"));
    std::filesystem::create_symlink("target", folder / "link");
    ASSERT_TRUE(write_file_atomically(folder / "link", "new"));
    EXPECT_EQ(text_of(folder / "target"), "old");
    EXPECT_EQ(text_of(folder / "link"), "new");
}

TEST(File, LargerThanTheLimitIsRefused) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "a", "12345"));
    EXPECT_TRUE(read_file(folder / "a", 5, "read kernel"));
    auto refused = read_file(folder / "a", 4, "read kernel");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().failed, "read kernel");
    EXPECT_EQ(refused.error().why, "it is larger than 4 bytes");
}

TEST(File, WithoutASizeOfItsOwnIsReadToItsEnd) {
    auto content = read_file("/proc/self/status", 1 << 20, "read status");
    ASSERT_TRUE(content);
    EXPECT_GT(content->size(), 100u);
    auto refused = read_file("/proc/self/status", 10, "read status");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().why, "it is larger than 10 bytes");
}

TEST(File, TooSparseForMemoryIsAnError) {
    TemporaryFolder folder;
    UniqueFd file(::open((folder / "sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (::ftruncate(file.get(), off_t{1} << 43) != 0) GTEST_SKIP() << "this file system has no sparse files";
    auto refused = read_file(folder / "sparse", uint64_t{1} << 42, "read disk");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kFailed);
}

TEST(File, ThatIsNoRegularFileIsRefused) {
    TemporaryFolder folder;
    EXPECT_EQ(read_file(folder.path(), 100, "read").error().why, "it is not a regular file");
    EXPECT_EQ(read_file("/dev/zero", 100, "read").error().why, "it is not a regular file");
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(read_file(folder / "fifo", 100, "read").error().why, "it is not a regular file");
    EXPECT_EQ(read_file(folder / "missing", 100, "read").error().why, "No such file or directory");
    EXPECT_EQ(open_for_reading(folder / "missing", "open disk").error().failed, "open disk");
}

TEST(File, OpensCloseOnExec) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "a", "x"));
    auto file = open_for_reading(folder / "a", "open");
    ASSERT_TRUE(file);
    EXPECT_NE(::fcntl(file->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, InAMissingFolderCannotBeWritten) {
    TemporaryFolder folder;
    auto written = write_file_atomically(folder / "none/a", "x");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().why, "No such file or directory");
}

TEST(File, OverAFolderCannotBeWrittenAndLeavesNothing) {
    TemporaryFolder folder;
    std::filesystem::create_directories(folder / "a/b");
    EXPECT_FALSE(write_file_atomically(folder / "a", "x"));
    EXPECT_EQ(folder.count(), 1u);
}

TEST(File, ThatCannotBeWrittenWholeLeavesTheOldOne) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "a", "old"));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{1000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    auto written = write_file_atomically(folder / "a", std::string(5000, 'x'));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().why, "File too large");
    EXPECT_EQ(text_of(folder / "a"), "old");
    EXPECT_EQ(folder.count(), 1u);
}

// In a mount namespace of its own, so that nothing is left mounted. The exit code says how it went; 77 that it could
// not be tried.
int write_on_full_disk(const TemporaryFolder& folder) {
    if (::unshare(CLONE_NEWNS) != 0) return 77;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) return 77;
    if (!write_file_atomically(folder / "a", "old")) return 1;
    auto written = write_file_atomically(folder / "a", std::string(1 << 20, 'x'));
    if (written || written.error().why != "No space left on device") return 2;
    if (text_of(folder / "a") != "old") return 3;
    return folder.count() == 1 ? 0 : 4;
}

TEST(File, OnAFullDiskLeavesTheOldOne) {
    TemporaryFolder folder;
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(write_on_full_disk(folder));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "mounting needs root";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(WriteAll, ReportsTheErrorOfAFullDevice) {
    UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(full);
    const uint8_t byte = 1;
    EXPECT_FALSE(write_all(full.get(), {&byte, 1}));
    EXPECT_EQ(errno, ENOSPC);
}

TEST(WriteAll, GoesOnAfterShortWrites) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    UniqueFd out(ends[0]);
    UniqueFd in(ends[1]);
    std::vector<uint8_t> content(1 << 20, 7);
    size_t received = 0;
    std::thread reader([&] {
        std::vector<uint8_t> buffer(999);
        ssize_t got = 0;
        while ((got = ::read(out.get(), buffer.data(), buffer.size())) > 0) received += static_cast<size_t>(got);
    });
    EXPECT_TRUE(write_all(in.get(), content));
    in.reset();
    reader.join();
    EXPECT_EQ(received, content.size());
}

TEST(UniqueFd, HasOneOwner) {
    UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    int number = first.get();
    UniqueFd second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left behind is what this tests
    EXPECT_EQ(second.get(), number);
    second.reset();
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace doppel
