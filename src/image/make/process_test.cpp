#include "image/make/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <csignal>

#include "base/unique_fd.h"
#include "image/test_folder.h"

namespace doppel::image {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Command shell(const std::string& script) {
    return {{"sh", "-c", script}};
}

TEST(Process, KeepsOutputsApartAndPassesTheExitCode) {
    auto finished = run(shell("echo out; echo err >&2; exit 7"));
    ASSERT_TRUE(finished);
    EXPECT_EQ(finished->output, "out\n");
    EXPECT_EQ(finished->diagnostics, "err\n");
    EXPECT_EQ(finished->exit_code, 7);
    EXPECT_EQ(run(shell("kill -9 $$"))->exit_code, 128 + SIGKILL);
}

TEST(Process, HasNoInputAndTheGivenDirectoryAndEnvironment) {
    TestFolder directory;
    Command command = shell("cat; pwd -P; echo $DOPPEL_TEST $HOME");
    command.directory = std::filesystem::canonical(directory.path());
    command.environment = {{"DOPPEL_TEST", "set"}, {"HOME", "replaced"}};
    auto finished = run(command);
    ASSERT_TRUE(finished);
    EXPECT_EQ(finished->output, command.directory.string() + "\nset replaced\n");
}

TEST(Process, HandsOutStatusLinesOneByOne) {
    std::vector<std::string> lines;
    Command command = shell("printf 'a\\nb' >&3; printf 'c\\n' >&3");
    command.status_line = [&](std::string_view line) { lines.emplace_back(line); };
    ASSERT_TRUE(run(command));
    EXPECT_THAT(lines, ElementsAre("a", "bc"));
}

TEST(Process, BoundsWhatItKeepsOfAnEndlessTalker) {
    auto finished = run(shell("head -c 5000000 /dev/zero"));
    ASSERT_TRUE(finished);
    EXPECT_EQ(finished->output.size(), size_t{1} << 20);
    EXPECT_EQ(finished->exit_code, 0);
}

TEST(Process, SaysWhichProgramIsMissing) {
    auto finished = run({{"no-such-program"}});
    ASSERT_FALSE(finished);
    EXPECT_THAT(finished.error().message(), HasSubstr("no-such-program"));
    EXPECT_THAT(finished.error().message(), HasSubstr("install it"));
}

TEST(Process, EndsTheWholeGroupWhenAskedToStop) {
    TestFolder directory;
    UniqueFd event(::eventfd(0, EFD_CLOEXEC));
    Command command = shell("sleep 1000 & echo $! >&3; wait");
    pid_t grandchild = 0;
    command.status_line = [&](std::string_view line) {
        grandchild = std::stoi(std::string(line));
        ::eventfd_write(event.get(), 1);
    };
    auto finished = run(command, StopRequest(event.get()));
    ASSERT_FALSE(finished);
    EXPECT_THAT(finished.error().message(), HasSubstr("interrupted"));
    // Gone, or a zombie that waits for whoever adopted it.
    std::string state = TestFolder::read("/proc/" + std::to_string(grandchild) + "/stat");
    for (int tries = 0; tries < 1000 && !state.empty() && state.find(") Z ") == state.npos; tries++) {
        ::poll(nullptr, 0, 10);
        state = TestFolder::read("/proc/" + std::to_string(grandchild) + "/stat");
    }
    EXPECT_TRUE(state.empty() || state.find(") Z ") != state.npos) << state;
}

TEST(Process, DoesNotInheritBlockedSignals) {
    sigset_t signals, before;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, &before);
    auto finished = run(shell("kill -TERM $$; echo survived"));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ASSERT_TRUE(finished);
    EXPECT_EQ(finished->exit_code, 128 + SIGTERM);
}

}  // namespace

}  // namespace doppel::image
