#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/instrumented.h"
#include "base/temporary_folder.h"
#include "base/unique_fd.h"
#include "machine/sandbox/confined_child.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox {
namespace {

using testing::attempt_confined;
using testing::Outcome;
using testing::Walls;

// Landlock alone: what it stops must not depend on the filter.
class Landlock : public ::testing::Test {
  protected:
    void SetUp() override {
        constexpr unsigned kCreateRulesetVersion = 1;
        version_ = static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion));
        if (version_ < 1) GTEST_SKIP() << "this kernel has no landlock";
        std::ofstream(folder_ / "file") << "content";
    }
    // The errno of the attempt; 0: it succeeded.
    int error_of(const std::function<long()>& attempt) {
        const Outcome outcome = attempt_confined({.calls = false}, [&] { return attempt() < 0 ? errno : 0; });
        EXPECT_EQ(outcome.signal, 0);
        return outcome.code;
    }
    std::string file() const { return folder_ / "file"; }

    TemporaryFolder folder_;
    int version_ = 0;
};

TEST_F(Landlock, LetsNoFileBeOpened) {
    EXPECT_EQ(error_of([&] { return open(file().c_str(), O_WRONLY); }), EACCES);
    EXPECT_EQ(error_of([&] { return open((folder_ / "new").c_str(), O_WRONLY | O_CREAT, 0600); }), EACCES);
    if (kInstrumented) GTEST_SKIP() << "this build's runtime reads files";
    EXPECT_EQ(error_of([&] { return open(file().c_str(), O_RDONLY); }), EACCES);
    EXPECT_EQ(error_of([&] { return open("/proc/self/mem", O_RDWR); }), EACCES);
    EXPECT_EQ(error_of([&] { return open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY); }), EACCES);
}

TEST_F(Landlock, LetsNothingBeMadeOrRemoved) {
    EXPECT_EQ(error_of([&] { return mkdir((folder_ / "new").c_str(), 0700); }), EACCES);
    EXPECT_EQ(error_of([&] { return symlink("x", (folder_ / "new").c_str()); }), EACCES);
    EXPECT_EQ(error_of([&] { return mkfifo((folder_ / "new").c_str(), 0600); }), EACCES);
    EXPECT_EQ(error_of([&] { return unlink(file().c_str()); }), EACCES);
    EXPECT_NE(error_of([&] { return rename(file().c_str(), (folder_ / "new").c_str()); }), 0);
    EXPECT_EQ(folder_.count(), 1u);
}

TEST_F(Landlock, LetsNoProgramBeExecuted) {
    if (kInstrumented) GTEST_SKIP() << "this build's runtime starts programs";
    EXPECT_EQ(error_of([] {
                  std::array<char*, 2> words{const_cast<char*>("true"), nullptr};
                  return execv("/bin/true", words.data());
              }),
              EACCES);
}

TEST_F(Landlock, LeavesAFolderThatIsNamed) {
    const TemporaryFolder other;
    std::ofstream(other / "file") << "content";
    const UniqueFd left(open(folder_.path().c_str(), O_PATH | O_DIRECTORY));
    // With the filter of calls too, as who uses it is confined.
    const auto error_within = [&](const std::function<long()>& attempt) {
        const Outcome outcome = attempt_confined({.permissions = {.files = true}, .folder = left.get()},
                                                 [&] { return attempt() < 0 ? errno : 0; });
        EXPECT_EQ(outcome.signal, 0) << outcome.said;
        return outcome.code;
    };
    const std::string made = folder_ / "made", renamed = folder_ / "renamed";
    EXPECT_EQ(error_within([&] { return open(file().c_str(), O_RDWR | O_TRUNC); }), 0);
    EXPECT_EQ(error_within([&] { return open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY); }), 0);
    EXPECT_EQ(error_within([&] { return open(made.c_str(), O_WRONLY | O_CREAT, 0600); }), 0);
    EXPECT_EQ(error_within([&] { return rename(made.c_str(), renamed.c_str()); }), 0);
    EXPECT_EQ(error_within([&] { return unlink(renamed.c_str()); }), 0);
    EXPECT_EQ(error_within([&] { return open((other / "file").c_str(), O_WRONLY); }), EACCES);
    EXPECT_EQ(error_within([&] { return open((other / "new").c_str(), O_WRONLY | O_CREAT, 0600); }), EACCES);
    EXPECT_EQ(error_within([&] { return unlink((other / "file").c_str()); }), EACCES);
    EXPECT_NE(error_within([&] { return rename(file().c_str(), (other / "file").c_str()); }), 0);
    if (kInstrumented) GTEST_SKIP() << "this build's runtime reads files and starts programs";
    EXPECT_EQ(error_within([&] { return open((other / "file").c_str(), O_RDONLY); }), EACCES);
}

// As the process of a network is confined: any port, no file but those to be read.
TEST_F(Landlock, LeavesTheNetworkToWhoServesOne) {
    const UniqueFd left(open(folder_.path().c_str(), O_PATH | O_DIRECTORY));
    const std::vector<SharedFolder> folders{{left.get(), true}};
    const auto error_within = [&](const std::function<long()>& attempt) {
        const Outcome outcome =
            attempt_confined({.permissions = {.sockets = true}, .shared = folders, .network = Network::kLeft},
                             [&] { return attempt() < 0 ? errno : 0; });
        EXPECT_EQ(outcome.signal, 0) << outcome.said;
        return outcome.code;
    };
    EXPECT_EQ(error_within([] {
                  sockaddr_in any{};
                  any.sin_family = AF_INET;
                  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                  const int made = socket(AF_INET, SOCK_STREAM, 0);
                  return made < 0 || bind(made, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 ? -1
                                                                                                    : listen(made, 1);
              }),
              0);
    EXPECT_EQ(error_within([&] { return open(file().c_str(), O_RDONLY); }), 0);
    EXPECT_EQ(error_within([&] { return open(file().c_str(), O_WRONLY); }), EACCES);
    EXPECT_EQ(error_within([&] { return open((folder_ / "new").c_str(), O_WRONLY | O_CREAT, 0600); }), EACCES);
}

TEST_F(Landlock, LeavesOpenFilesUsable) {
    const UniqueFd open_before(open(file().c_str(), O_RDWR));
    EXPECT_EQ(error_of([&] {
                  char text = 0;
                  return pread(open_before.get(), &text, 1, 0) == 1 && write(open_before.get(), "C", 1) == 1 ? 0L : -1L;
              }),
              0);
}

TEST_F(Landlock, LetsNoTcpPortBeBoundOrConnected) {
    constexpr int kNetworkVersion = 4;
    if (version_ < kNetworkVersion) GTEST_SKIP() << "this kernel's landlock does not know networks";
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(error_of([&] { return bind(socket(AF_INET, SOCK_STREAM, 0), name, sizeof address); }), EACCES);
    address.sin_port = htons(9);
    EXPECT_EQ(error_of([&] { return connect(socket(AF_INET, SOCK_STREAM, 0), name, sizeof address); }), EACCES);
}

TEST_F(Landlock, LetsNoOtherProcessBeSignalled) {
    constexpr int kScopeVersion = 6;
    if (version_ < kScopeVersion || kInstrumented) GTEST_SKIP() << "this kernel's landlock does not know signals";
    const pid_t other = getpid();
    EXPECT_EQ(error_of([=] { return kill(other, 0); }), EPERM);
    EXPECT_EQ(error_of([] { return raise(SIGCONT); }), 0);
}

// Both walls, as a machine with shares has them: what a thread under a guest's control could still do.
class SharedFolders : public Landlock {
  protected:
    void SetUp() override {
        Landlock::SetUp();
        if (IsSkipped()) return;
        for (const char* name : {"shared", "read"}) {
            ASSERT_EQ(mkdir((folder_ / name).c_str(), 0755), 0);
            std::ofstream(folder_ / name / "inside") << "content";
        }
        shared_ = UniqueFd(open((folder_ / "shared").c_str(), O_RDONLY | O_DIRECTORY));
        read_ = UniqueFd(open((folder_ / "read").c_str(), O_RDONLY | O_DIRECTORY));
    }
    int error_of(const std::function<long()>& attempt) {
        const Walls walls{.permissions = {.shares = true, .shared_changes = true},
                          .shared = {{shared_.get(), false}, {read_.get(), true}}};
        const Outcome outcome = attempt_confined(walls, [&] { return attempt() < 0 ? errno : 0; });
        EXPECT_EQ(outcome.signal, 0) << outcome.said;
        return outcome.code;
    }
    std::filesystem::path path(const char* name) const { return folder_.path() / name; }

    UniqueFd shared_, read_;
};

TEST_F(SharedFolders, AreServedBehindTheWalls) {
    EXPECT_EQ(error_of([&] { return openat(shared_.get(), "inside", O_RDWR); }), 0);
    EXPECT_EQ(error_of([&] { return openat(shared_.get(), "new", O_RDWR | O_CREAT, 0600); }), 0);
    EXPECT_EQ(error_of([&] { return openat(shared_.get(), ".", O_RDWR | O_TMPFILE, 0600); }), 0);
    EXPECT_EQ(error_of([&] { return mkdirat(shared_.get(), "folder", 0700); }), 0);
    EXPECT_EQ(error_of([&] { return symlinkat("x", shared_.get(), "link"); }), 0);
    EXPECT_EQ(error_of([&] { return renameat2(shared_.get(), "new", shared_.get(), "folder/new", 0); }),
              version_ < 2 ? EXDEV : 0);
    EXPECT_EQ(error_of([&] { return unlinkat(shared_.get(), "link", 0); }), 0);
    EXPECT_EQ(error_of([&] { return openat(read_.get(), "inside", O_RDONLY); }), 0);
}

TEST_F(SharedFolders, AreAllThatCanBeOpenedOrChanged) {
    for (const std::string& outside : {path("file").string(), std::string("/etc/passwd")}) {
        EXPECT_EQ(error_of([&] { return openat(AT_FDCWD, outside.c_str(), O_WRONLY); }), EACCES);
        const int expected = kInstrumented ? 0 : EACCES;  // such a build's runtime reads files
        EXPECT_EQ(error_of([&] { return openat(AT_FDCWD, outside.c_str(), O_RDONLY); }), expected);
    }
    EXPECT_EQ(error_of([&] { return openat(shared_.get(), "../file", O_WRONLY); }), EACCES);
    EXPECT_EQ(error_of([&] { return openat(shared_.get(), "../new", O_WRONLY | O_CREAT, 0600); }), EACCES);
    EXPECT_EQ(error_of([&] { return unlinkat(shared_.get(), "../file", 0); }), EACCES);
    EXPECT_NE(error_of([&] { return renameat2(shared_.get(), "inside", AT_FDCWD, path("out").c_str(), 0); }), 0);
    EXPECT_NE(error_of([&] { return renameat2(AT_FDCWD, path("file").c_str(), shared_.get(), "in", 0); }), 0);
    EXPECT_NE(error_of([&] { return linkat(AT_FDCWD, path("file").c_str(), shared_.get(), "in", 0); }), 0);
    EXPECT_EQ(error_of([&] { return openat(read_.get(), "inside", O_WRONLY); }), EACCES);
    EXPECT_EQ(error_of([&] { return openat(read_.get(), "new", O_WRONLY | O_CREAT, 0600); }), EACCES);
    EXPECT_EQ(error_of([&] { return mkdirat(read_.get(), "new", 0700); }), EACCES);
    EXPECT_EQ(error_of([&] { return unlinkat(read_.get(), "inside", 0); }), EACCES);
}

TEST_F(SharedFolders, AreOnlyReadWhereNothingIsToBeChanged) {
    const Walls walls{.permissions = {.shares = true}, .shared = {{read_.get(), true}}};
    const auto signal_of = [&](const std::function<long()>& attempt) {
        return attempt_confined(walls, [&] { return attempt() < 0 ? errno : 0; }).signal;
    };
    EXPECT_EQ(signal_of([&] { return unlinkat(read_.get(), "inside", 0); }), SIGSYS);
    EXPECT_EQ(signal_of([&] { return fchmod(read_.get(), 0777); }), SIGSYS);
    EXPECT_EQ(signal_of([&] { return fchownat(AT_FDCWD, "/etc/passwd", 1, 1, 0); }), SIGSYS);
    EXPECT_EQ(signal_of([&] { return syscall(SYS_mknodat, read_.get(), "x", S_IFCHR, 0); }), SIGSYS);
}

// Landlock lets any file be found by path without opening it, and knows none of these calls.
TEST_F(SharedFolders, LeaveOwnersAndModesOfFilesElsewhereAlone) {
    const Walls walls{.permissions = {.shares = true, .shared_changes = true}, .shared = {{shared_.get(), false}}};
    const std::string outside = path("file");
    const auto attempt = [&](const std::function<long(int)>& change) {
        return attempt_confined(walls, [&] {
            const auto found = static_cast<int>(syscall(SYS_openat, AT_FDCWD, outside.c_str(), O_PATH));
            return found < 0 ? 255 : change(found) < 0 ? errno : 0;
        });
    };
    constexpr long kFchmodat2 = 452, kSetxattrat = 463;
    EXPECT_EQ(attempt([](int file) { return fchmod(file, 0777); }).code, EBADF);
    EXPECT_EQ(attempt([](int file) { return fchown(file, 1, 1); }).code, EBADF);
    EXPECT_EQ(attempt([](int file) { return fsetxattr(file, "user.x", "y", 1, 0); }).code, EBADF);
    EXPECT_EQ(attempt([](int file) { return fchownat(file, "", 1, 1, AT_EMPTY_PATH); }).signal, SIGSYS);
    EXPECT_EQ(attempt([](int file) { return syscall(kFchmodat2, file, "", 0777, AT_EMPTY_PATH); }).signal, SIGSYS);
    EXPECT_EQ(attempt([](int file) { return syscall(kSetxattrat, file, "", AT_EMPTY_PATH, "", 0, 0); }).signal, SIGSYS);
    for (long call : {SYS_chmod, SYS_chown, SYS_lchown, SYS_setxattr, SYS_lsetxattr, SYS_removexattr, SYS_truncate})
        EXPECT_EQ(attempt([&](int) { return syscall(call, outside.c_str(), 0, 0, 0, 0); }).signal, SIGSYS) << call;
    EXPECT_EQ(attempt([&](int) { return syscall(SYS_fchmodat, AT_FDCWD, outside.c_str(), 0777); }).signal, SIGSYS);
}

}  // namespace
}  // namespace doppel::machine::sandbox
