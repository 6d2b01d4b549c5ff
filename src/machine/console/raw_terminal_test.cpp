#include "machine/console/raw_terminal.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/unique_fd.h"

namespace doppel::machine {
namespace {

// A child whose controlling terminal is a pty that this process holds, in raw mode when the constructor returns.
class Child {
  public:
    explicit Child(const std::function<void()>& body) {
        int told[2];
        if (pipe(told) != 0) std::abort();
        int master = -1;
        pid_ = forkpty(&master, nullptr, nullptr, nullptr);
        if (pid_ == 0) {
            close(told[0]);
            alarm(60);
            auto terminal = RawTerminal::enter(STDIN_FILENO);
            if (!terminal || write(told[1], "r", 1) != 1) _exit(99);
            body();
            _exit(98);
        }
        close(told[1]);
        master_.reset(master);
        char byte = 0;
        ready_ = read(told[0], &byte, 1) == 1;
        close(told[0]);
    }
    ~Child() {
        if (pid_ > 0 && !waited_) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    bool ready() const { return ready_; }
    bool raw() const {
        termios mode{};
        tcgetattr(master_.get(), &mode);
        return (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0;
    }
    void send(int number) const { kill(pid_, number); }
    // The wait status after its next change.
    int wait(int options = 0) {
        int status = 0;
        waitpid(pid_, &status, options);
        waited_ = WIFEXITED(status) || WIFSIGNALED(status);
        return status;
    }

  private:
    pid_t pid_ = -1;
    UniqueFd master_;
    bool ready_ = false;
    bool waited_ = false;
};

void sleep_on() {
    for (;;) pause();
}

TEST(RawTerminal, ReturnsWhenASignalEndsTheProcess) {
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT}) {
        Child child(sleep_on);
        ASSERT_TRUE(child.ready());
        EXPECT_TRUE(child.raw());
        child.send(number);
        const int status = child.wait();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which turn SIGSEGV into an exit of their own
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), number);
#endif
        EXPECT_FALSE(child.raw()) << status;
    }
}

TEST(RawTerminal, ReturnsAtExit) {
    Child child([] { std::exit(3); });
    ASSERT_TRUE(child.ready());
    const int status = child.wait();
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_FALSE(child.raw());
}

TEST(RawTerminal, ReturnsWhileTheProcessIsStopped) {
    Child child(sleep_on);
    ASSERT_TRUE(child.ready());
    child.send(SIGTSTP);
    ASSERT_TRUE(WIFSTOPPED(child.wait(WUNTRACED)));
    EXPECT_FALSE(child.raw());
    child.send(SIGCONT);
    ASSERT_TRUE(WIFCONTINUED(child.wait(WCONTINUED)));
    for (int i = 0; i < 20000 && !child.raw(); i++) usleep(1000);
    EXPECT_TRUE(child.raw());
    child.send(SIGTERM);
    child.wait();
    EXPECT_FALSE(child.raw());
}

TEST(RawTerminal, LeavesIgnoredSignalsIgnored) {
    signal(SIGHUP, SIG_IGN);
    Child child([] {
        raise(SIGHUP);
        std::exit(7);
    });
    signal(SIGHUP, SIG_DFL);
    ASSERT_TRUE(child.ready());
    EXPECT_EQ(WEXITSTATUS(child.wait()), 7);
}

TEST(RawTerminal, IsRefusedWhereThereIsNoTerminal) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_FALSE(RawTerminal::enter(ends[0]));
    close(ends[0]);
    close(ends[1]);
}

}  // namespace
}  // namespace doppel::machine
