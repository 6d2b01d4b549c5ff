#include "machine/console/console.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace doppel::machine {
namespace {

namespace fs = std::filesystem;

// A device whose FIFO holds `room` bytes more.
class FakeDevice final : public device::CharacterDevice {
  public:
    bool can_receive() override { return room > 0; }
    size_t receive(std::span<const uint8_t> bytes) override {
        const size_t taken = std::min(room, bytes.size());
        got.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
        room -= taken;
        return taken;
    }
    bool receive_break() override { return false; }

    size_t room = 1 << 20;
    std::string got;
};

class ConsoleTest : public testing::Test {
  protected:
    void SetUp() override {
        loop_ = std::move(*EventLoop::create());
        std::string pattern = fs::temp_directory_path() / "doppel-console-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    void TearDown() override {
        console_.reset();
        fs::remove_all(folder_);
    }

    void open(const ConsoleChoice& choice) {
        if (choice.kind == ConsoleKind::kSocket) {
            auto started = sandbox::FileRemover::start();
            ASSERT_TRUE(started) << started.error().message();
            remover_ = std::move(*started);
        }
        auto opened = Console::open(
            choice, *loop_, [this] { quits_++; }, remover_.get());
        ASSERT_TRUE(opened) << opened.error().message();
        console_ = std::move(*opened);
        console_->connect(device_);
    }
    void print(std::string_view text) { console_->write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }
    // Rounds of the loop until `done` holds; the pause lets timers of real time expire.
    bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 20000; i++) {
            loop_->run_ready();
            if (done()) return true;
            usleep(1000);
        }
        return false;
    }
    std::string socket_path() const { return folder_ / "console.sock"; }
    UniqueFd join(const std::string& path) {
        UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path.c_str());
        if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) client.reset();
        return client;
    }
    static std::string take(int fd) {
        std::string text(65536, 0);
        const ssize_t got = read(fd, text.data(), text.size());
        text.resize(got > 0 ? static_cast<size_t>(got) : 0);
        return text;
    }
    static std::string content(const fs::path& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }

    ManualClock still_;  // for loops that are not to see time pass
    std::unique_ptr<EventLoop> loop_;
    FakeDevice device_;
    std::unique_ptr<sandbox::FileRemover> remover_;
    std::unique_ptr<Console> console_;
    fs::path folder_;
    int quits_ = 0;
};

TEST_F(ConsoleTest, RecordsOutputInAFile) {
    open({ConsoleKind::kFile, folder_ / "log"});
    print("hello ");
    loop_->run_ready();
    print("world");
    console_->finish();
    EXPECT_EQ(content(folder_ / "log"), "hello world");
}

TEST_F(ConsoleTest, SaysWhyAFileCannotBeOpened) {
    const auto opened = Console::open({ConsoleKind::kFile, folder_ / "none/log"}, *loop_, [] {});
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("none/log"));
}

TEST_F(ConsoleTest, GoesOnWhenTheDiskIsFull) {
    open({ConsoleKind::kFile, "/dev/full"});
    print("lost");
    loop_->run_ready();
    print("lost, too");
    console_->finish();
}

TEST_F(ConsoleTest, SwallowsOutputThatGoesNowhere) {
    open({ConsoleKind::kNone, ""});
    print(std::string(Console::kLimit, 'x'));
    print("more");
    console_->finish();
}

TEST_F(ConsoleTest, ServesOneClientAfterAnotherOnASocket) {
    open({ConsoleKind::kSocket, socket_path()});
    print("nobody hears this");
    for (const char* word : {"first", "second"}) {
        UniqueFd client = join(socket_path());
        ASSERT_TRUE(client);
        loop_->run_ready();
        print(word);
        loop_->run_ready();
        EXPECT_EQ(take(client.get()), word);
        ASSERT_EQ(write(client.get(), word, std::strlen(word)), static_cast<ssize_t>(std::strlen(word)));
        loop_->run_ready();
        client.reset();
        loop_->run_ready();
    }
    EXPECT_EQ(device_.got, "firstsecond");
    struct stat status {};
    ASSERT_EQ(stat(socket_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    console_.reset();
    remover_->finish();
    EXPECT_FALSE(fs::exists(socket_path()));
}

TEST_F(ConsoleTest, TurnsASecondClientAway) {
    open({ConsoleKind::kSocket, socket_path()});
    UniqueFd first = join(socket_path());
    loop_->run_ready();
    UniqueFd second = join(socket_path());
    loop_->run_ready();
    char byte = 0;
    EXPECT_EQ(read(second.get(), &byte, 1), 0);
    print("x");
    loop_->run_ready();
    EXPECT_EQ(take(first.get()), "x");
}

TEST_F(ConsoleTest, ReplacesADeadSocketButNothingElse) {
    open({ConsoleKind::kSocket, socket_path()});
    EXPECT_FALSE(Console::open({ConsoleKind::kSocket, socket_path()}, *loop_, [] {}));  // alive
    const std::string dead = folder_ / "dead.sock";
    {
        UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, dead.c_str());
        ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    EXPECT_TRUE(Console::open({ConsoleKind::kSocket, dead}, *loop_, [] {}));
    std::ofstream(folder_ / "file") << "precious";
    EXPECT_FALSE(Console::open({ConsoleKind::kSocket, folder_ / "file"}, *loop_, [] {}));
    EXPECT_EQ(content(folder_ / "file"), "precious");
}

TEST_F(ConsoleTest, StopsReadingWhileTheDeviceIsFullAndGoesOnLater) {
    open({ConsoleKind::kSocket, socket_path()});
    UniqueFd client = join(socket_path());
    loop_->run_ready();
    device_.room = 3;
    std::string sent(100000, 0);
    for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<char>('a' + i % 26);
    size_t written = 0;
    const auto feed = [&] {
        const ssize_t put = write(client.get(), sent.data() + written, sent.size() - written);
        if (put > 0) written += static_cast<size_t>(put);
    };
    feed();
    for (int i = 0; i < 10; i++) loop_->run_ready();
    EXPECT_EQ(device_.got, "abc");
    EXPECT_TRUE(until([&] {
        feed();
        device_.room = 1000;
        console_->room_again();
        return device_.got.size() == sent.size();
    }));
    EXPECT_EQ(device_.got, sent);
}

TEST_F(ConsoleTest, LosesNothingOnASlowReader) {
    open({ConsoleKind::kSocket, socket_path()});
    UniqueFd client = join(socket_path());
    loop_->run_ready();
    std::string sent;
    for (int i = 0; sent.size() < 4 * Console::kHighWater; i++) sent += std::to_string(i) + "\n";
    std::thread guest([&] {
        for (size_t at = 0; at < sent.size(); at += 8192) print(std::string_view(sent).substr(at, 8192));
    });
    std::string got;
    EXPECT_TRUE(until([&] {
        got += take(client.get());
        return got.size() >= sent.size();
    }));
    guest.join();
    EXPECT_EQ(got, sent);
}

TEST_F(ConsoleTest, BoundsWhatAStuckReaderCosts) {
    open({ConsoleKind::kSocket, socket_path()});
    UniqueFd client = join(socket_path());
    loop_->run_ready();
    const std::string piece(Console::kLimit / 4, 'x');
    for (int i = 0; i < 8; i++) print(piece);
    std::string got;
    while (true) {
        loop_->run_ready();
        const std::string more = take(client.get());
        if (more.empty()) break;
        got += more;
    }
    EXPECT_LE(got.size(), Console::kLimit);
    EXPECT_GE(got.size(), Console::kHighWater);
    print("and on");
    EXPECT_TRUE(until([&] { return take(client.get()) == "and on"; }));
}

TEST_F(ConsoleTest, MeetsWhoeverOpensThePty) {
    open({ConsoleKind::kPty, ""});
    const std::string slave = console_->location();
    ASSERT_THAT(slave, testing::StartsWith("/dev/pts/"));
    print("nobody hears this");
    for (const char* word : {"first", "second"}) {
        device_.got.clear();
        UniqueFd user(::open(slave.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
        ASSERT_TRUE(user);
        ASSERT_EQ(write(user.get(), word, std::strlen(word)), static_cast<ssize_t>(std::strlen(word)));
        EXPECT_TRUE(until([&] { return device_.got == word; })) << device_.got;
        print("out");
        std::string got;
        EXPECT_TRUE(until([&] { return (got += take(user.get())) == "out"; })) << got;
        user.reset();
        for (int i = 0; i < 5; i++) loop_->run_ready();
    }
}

// Its clock stands still unless it is told.
TEST_F(ConsoleTest, ThePtyStaysForTheReaderOfTheLastWords) {
    for (bool closes : {true, false}) {
        loop_ = std::move(*EventLoop::create(still_));  // a console outlives every run of its loop
        open({ConsoleKind::kPty, ""});
        UniqueFd user(::open(console_->location().c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
        ASSERT_TRUE(user);
        constexpr uint64_t kSecond = 1'000'000'000;
        still_.advance(kSecond);
        loop_->run_ready();  // it sees the reader
        print("the last words");
        std::atomic<bool> finished{false};
        std::thread end([&] {
            console_->finish();
            finished.store(true);
        });
        std::string got;
        for (int i = 0; i < 20000 && got != "the last words"; i++, usleep(1000)) got += take(user.get());
        EXPECT_EQ(got, "the last words");
        EXPECT_FALSE(finished.load()) << "who reads later finds nothing";
        if (closes) user.reset();
        while (!closes && !finished.load()) {
            still_.advance(kSecond / 10);
            usleep(1000);
        }
        end.join();
        console_.reset();
    }
}

}  // namespace
}  // namespace doppel::machine
