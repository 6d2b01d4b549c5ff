#include "machine/sandbox/file_remover.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>
#include <functional>

#include "base/temporary_folder.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox {
namespace {

class FileRemoverTest : public ::testing::Test {
  protected:
    std::filesystem::path make(const std::string& name) {
        std::ofstream(folder_ / name) << "x";
        return folder_ / name;
    }
    static std::unique_ptr<FileRemover> start() {
        auto started = FileRemover::start();
        EXPECT_TRUE(started);
        return std::move(*started);
    }
    // In a process of its own, which ends by the code or a signal; waits until the files are gone or it is hopeless.
    static void run_in_child(const std::function<void()>& run) {
        const pid_t child = fork();
        if (child == 0) {
            run();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
    }
    static bool vanishes(const std::filesystem::path& path) {
        for (int i = 0; i < 20000 && exists(path); i++) usleep(1000);
        return !exists(path);
    }

    TemporaryFolder folder_;
};

TEST_F(FileRemoverTest, RemovesWhatItWasGivenAndNothingElse) {
    auto remover = start();
    ASSERT_TRUE(remover->add(make("one")));
    ASSERT_TRUE(remover->add(make("two")));
    make("other");
    EXPECT_EQ(folder_.count(), 3u);
    remover->finish();
    EXPECT_EQ(folder_.count(), 1u);
}

TEST_F(FileRemoverTest, RemovesFoldersAndFollowsNoLink) {
    std::filesystem::create_directories(folder_.path() / "folder" / "below");
    std::ofstream(folder_.path() / "folder" / "below" / "file") << "x";
    make("other");
    std::filesystem::create_directory_symlink("../..", folder_.path() / "folder" / "link");
    auto remover = start();
    ASSERT_TRUE(remover->add(folder_ / "folder"));
    remover->finish();
    EXPECT_FALSE(exists(folder_ / "folder"));
    EXPECT_TRUE(exists(folder_ / "other"));
}

TEST_F(FileRemoverTest, RemovesWhenTheProcessIsKilled) {
    const auto path = make("one");
    run_in_child([&] {
        auto remover = start();
        if (remover->add(path)) remover->seal();
        raise(SIGKILL);
    });
    EXPECT_TRUE(vanishes(path));
}

TEST_F(FileRemoverTest, RemovesWhenTheProcessEndsBeforeItSealed) {
    const auto path = make("one");
    run_in_child([&] {
        auto remover = start();
        static_cast<void>(remover->add(path));
        raise(SIGKILL);
    });
    EXPECT_TRUE(vanishes(path));
}

TEST_F(FileRemoverTest, LeavesAFileThatTookTheName) {
    auto remover = start();
    const auto path = make("one");
    ASSERT_TRUE(remover->add(path));
    make("other");
    std::filesystem::rename(folder_ / "other", path);
    remover->finish();
    EXPECT_TRUE(exists(path));
}

TEST_F(FileRemoverTest, TakesNoMoreOrdersOnceSealed) {
    auto remover = start();
    const auto first = make("one");
    const auto second = make("two");
    ASSERT_TRUE(remover->add(first));
    remover->seal();
    static_cast<void>(remover->add(second));  // what a broken-out guest would send only makes it act early
    remover->finish();
    EXPECT_FALSE(exists(first));
    EXPECT_TRUE(exists(second));
}

TEST_F(FileRemoverTest, WorksForAConfinedProcess) {
    const auto path = make("one");
    run_in_child([&] {
        auto remover = start();
        if (!remover->add(path)) return;
        remover->seal();
        if (!confine_files() || !confine_calls({.accept_connections = true})) return;
        remover->finish();
    });
    EXPECT_FALSE(exists(path));
}

TEST_F(FileRemoverTest, FailsForAFileThatIsNotThere) {
    auto remover = start();
    EXPECT_FALSE(remover->add(folder_ / "none"));
}

}  // namespace
}  // namespace doppel::machine::sandbox
