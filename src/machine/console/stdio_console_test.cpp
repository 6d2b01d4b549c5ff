// The console on a real terminal: the guest is a child whose controlling terminal is a pty.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <functional>
#include <string>

#include "machine/console/console.h"

namespace doppel::machine {
namespace {

using testing::HasSubstr;

// Sends back what it receives, in capitals.
class Echo final : public device::CharacterDevice {
  public:
    explicit Echo(Console& console) : console_(console) {}
    bool can_receive() override { return true; }
    size_t receive(std::span<const uint8_t> bytes) override {
        std::vector<uint8_t> answer;
        for (const uint8_t byte : bytes) answer.push_back(static_cast<uint8_t>(std::toupper(byte)));
        console_.write(answer);
        return bytes.size();
    }
    bool receive_break() override { return true; }

  private:
    Console& console_;
};

// Takes nothing, ever.
class Deaf final : public device::CharacterDevice {
  public:
    bool can_receive() override { return false; }
    size_t receive(std::span<const uint8_t>) override { return 0; }
    bool receive_break() override { return false; }
};

[[noreturn]] void run_machine(const std::function<std::unique_ptr<device::CharacterDevice>(Console&)>& make) {
    alarm(60);
    auto loop = std::move(*EventLoop::create());
    auto console = Console::open({ConsoleKind::kStdio, ""}, *loop, [&] { loop->stop(); });
    if (!console) _exit(99);
    const auto device = make(**console);
    (*console)->connect(*device);
    const std::string_view hello = "ready\n";
    (*console)->write({reinterpret_cast<const uint8_t*>(hello.data()), hello.size()});
    loop->run();
    (*console)->finish();
    _exit(7);
}

class StdioConsole : public testing::Test {
  protected:
    template <class Device>
    void start(const std::function<std::unique_ptr<Device>(Console&)>& make) {
        int master = -1;
        pid_ = forkpty(&master, nullptr, nullptr, nullptr);
        ASSERT_GE(pid_, 0);
        if (pid_ == 0) run_machine([&](Console& console) { return make(console); });
        master_.reset(master);
        EXPECT_THAT(read_until("ready\n"), HasSubstr("ready\n"));
    }
    void start_echo() {
        start<Echo>([](Console& console) { return std::make_unique<Echo>(console); });
    }
    void TearDown() override {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    void type(std::string_view keys) {
        EXPECT_EQ(write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }
    std::string read_until(std::string_view wanted) {
        std::string text;
        std::array<char, 4096> piece;
        while (text.find(wanted) == text.npos) {
            pollfd ready{master_.get(), POLLIN, 0};
            if (poll(&ready, 1, 60000) <= 0) break;
            const ssize_t got = read(master_.get(), piece.data(), piece.size());
            if (got <= 0) break;
            text.append(piece.data(), static_cast<size_t>(got));
        }
        return text;
    }
    int wait() {
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        return status;
    }
    bool is_raw() const {
        termios mode{};
        tcgetattr(master_.get(), &mode);
        return (mode.c_lflag & ICANON) == 0;
    }

    pid_t pid_ = -1;
    UniqueFd master_;
};

TEST_F(StdioConsole, CarriesKeysAndOutputUntouched) {
    start_echo();
    EXPECT_TRUE(is_raw());
    type("abc\x03\x1a\r");
    EXPECT_EQ(read_until("\r"), "ABC\x03\x1a\r");
}

TEST_F(StdioConsole, QuitsByKeyAndGivesTheTerminalBack) {
    start_echo();
    type("\x01x");
    const int status = wait();
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_FALSE(is_raw());
}

TEST_F(StdioConsole, ShowsItsKeys) {
    start_echo();
    type("\x01h");
    EXPECT_THAT(read_until("this help\r\n"), HasSubstr("Ctrl-A x"));
    type("\x01\x01");
    EXPECT_EQ(read_until("\x01"), "\x01");
}

TEST_F(StdioConsole, QuitsThoughTheGuestTakesNoInput) {
    start<Deaf>([](Console&) { return std::make_unique<Deaf>(); });
    for (int i = 0; i < 100; i++) type("the guest hangs");
    type("\x01x");
    EXPECT_TRUE(WIFEXITED(wait()));
}

TEST_F(StdioConsole, GivesTheTerminalBackWhenKilled) {
    start_echo();
    kill(pid_, SIGTERM);
    EXPECT_EQ(WTERMSIG(wait()), SIGTERM);
    EXPECT_FALSE(is_raw());
}

// Standard input and output are pipes here.
class PipedConsole : public testing::Test {
  protected:
    void start() {
        int in[2];
        int out[2];
        ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
        ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
        pid_ = fork();
        if (pid_ == 0) {
            dup2(in[0], 0);
            dup2(out[1], 1);
            close(in[1]);
            close(out[0]);
            close(out[1]);
            run_machine([](Console& console) { return std::make_unique<Echo>(console); });
        }
        close(in[0]);
        close(out[1]);
        in_.reset(in[1]);
        out_.reset(out[0]);
    }
    void TearDown() override {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    std::string take(size_t size) {
        std::string text;
        std::array<char, 65536> piece;
        while (text.size() < size) {
            const ssize_t got = read(out_.get(), piece.data(), std::min(piece.size(), size - text.size()));
            if (got <= 0) break;
            text.append(piece.data(), static_cast<size_t>(got));
        }
        return text;
    }
    bool alive() { return waitpid(pid_, nullptr, WNOHANG) == 0; }

    pid_t pid_ = -1;
    UniqueFd in_;
    UniqueFd out_;
};

TEST_F(PipedConsole, PassesEscapeKeysToTheGuestAndOutlivesTheEndOfInput) {
    start();
    ASSERT_EQ(write(in_.get(), "a\x01xb", 4), 4);
    EXPECT_EQ(take(10), "ready\nA\x01XB");
    in_.reset();
    usleep(20000);
    EXPECT_TRUE(alive());
}

TEST_F(PipedConsole, OutlivesAReaderThatVanishes) {
    start();
    EXPECT_EQ(take(6), "ready\n");
    out_.reset();
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(write(in_.get(), "more", 4), 4);
        usleep(1000);
    }
    EXPECT_TRUE(alive());
}

}  // namespace
}  // namespace doppel::machine
