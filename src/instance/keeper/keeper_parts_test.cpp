// The keeper's parts; the whole is tested with machines (tests/instance).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "instance/keeper/backoff.h"
#include "instance/keeper/console_hub.h"
#include "instance/keeper/options.h"
#include "instance/keeper/record.h"
#include "instance/keeper/rotating_log.h"

namespace doppel::instance {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
  protected:
    Folder() {
        std::string pattern = testing::TempDir() + "doppel-keeper-XXXXXX";
        path_ = mkdtemp(pattern.data());
        fd_ = open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    ~Folder() override {
        close(fd_);
        fs::remove_all(path_);
    }
    std::string content(const std::string& name) {
        std::stringstream text;
        text << std::ifstream(path_ / name).rdbuf();
        return text.str();
    }
    fs::path path_;
    int fd_ = -1;
};

TEST(Backoff, WaitsLongerEachTimeAndBeginsAnewAfterAGoodRun) {
    Backoff backoff;
    EXPECT_EQ(backoff.next(0), Backoff::kFirst);
    EXPECT_EQ(backoff.next(0), 2 * Backoff::kFirst);
    for (int i = 0; i < 100; i++) backoff.next(0);
    EXPECT_EQ(backoff.next(0), Backoff::kLongest);
    EXPECT_EQ(backoff.next(Backoff::kGoodRun), Backoff::kFirst);
}

using RotatingLogTest = Folder;

TEST_F(RotatingLogTest, MovesFullFilesAwayAndKeepsAFew) {
    RotatingLog log(fd_, "log", 4);
    for (const char* piece : {"aaaa", "bbbb", "cccc", "dddd", "eeee", "ff"}) log.write(piece, strlen(piece));
    EXPECT_EQ(content("log"), "ff");
    EXPECT_EQ(content("log.1"), "eeee");
    EXPECT_EQ(content("log.3"), "cccc");
    EXPECT_FALSE(fs::exists(path_ / "log.4"));
}

TEST_F(RotatingLogTest, GoesOnWithWhatThereIs) {
    { RotatingLog(fd_, "log", 100).write("one ", 4); }
    RotatingLog(fd_, "log", 100).write("two", 3);
    EXPECT_EQ(content("log"), "one two");
}

using RecordTest = Folder;

TEST_F(RecordTest, EventsAreLinesOfJson) {
    const std::string log = path_ / "events";
    write_event(log.c_str(), "1", "dev", "started", ",\"pid\":7");
    write_event(log.c_str(), "1", "dev", "ended", "");
    EXPECT_THAT(content("events"), testing::MatchesRegex("\\{\"time\":\"[-0-9T:.]+Z\",\"id\":\"1\",\"name\":\"dev\","
                                                         "\"event\":\"started\",\"pid\":7\\}\n[^\n]+\n"));
    fs::resize_file(log, kEventsLimit + 1);
    write_event(log.c_str(), "1", "dev", "last", "");
    write_event(log.c_str(), "1", "dev", "first", "");
    EXPECT_EQ(fs::file_size(log + ".1") > static_cast<uintmax_t>(kEventsLimit), true);
    EXPECT_LT(fs::file_size(log), 200u);
}

TEST_F(RecordTest, TimesAreWrittenWithMilliseconds) {
    char text[kTimeText];
    format_time(1'700'000'000'123'456'789, text);
    EXPECT_STREQ(text, "2023-11-14T22:13:20.123Z");
}

bool understood(std::vector<std::string> words) {
    words.insert(words.begin(), "doppel-keeper");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    KeeperOptions options;
    return parse_options(static_cast<int>(pointers.size()), pointers.data(), options);
}

TEST(KeeperOptions, AreAllNeededAndKnown) {
    const std::vector<std::string> whole{"--id",      "1", "--name",   "n", "--machine",       "m", "--directory", "d",
                                         "--runtime", "r", "--events", "e", "--specification", "3", "--lock",      "4"};
    EXPECT_TRUE(understood(whole));
    for (size_t i = 0; i < whole.size(); i += 2) {
        auto less = whole;
        less.erase(less.begin() + static_cast<long>(i), less.begin() + static_cast<long>(i) + 2);
        EXPECT_FALSE(understood(less)) << whole[i];
    }
    for (const auto& [option, value] : {std::pair{"--wings", "2"},
                                        {"--lock", "x"},
                                        {"--lock", "-1"},
                                        {"--restart", "maybe"},
                                        {"--log-limit", "1x"}}) {
        auto wrong = whole;
        wrong.insert(wrong.end(), {option, value});
        EXPECT_FALSE(understood(wrong)) << option << value;
    }
    auto cut = whole;
    cut.push_back("--restart");
    EXPECT_FALSE(understood(cut));
    cut.push_back("always");
    EXPECT_TRUE(understood(cut));
}

struct Pair {
    Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0); }
    int ends[2];
};

class ConsoleHubTest : public Folder {
  protected:
    ConsoleHubTest() : log_(fd_, "log", 0), hub_(log_) {
        hub_.set_machine(machine_.ends[0]);
        for (auto& client : clients_) hub_.add_client(client.ends[0]);
    }
    ~ConsoleHubTest() override {
        close(machine_.ends[1]);
        for (auto& client : clients_) close(client.ends[1]);
    }
    void turn() {
        pollfd fds[ConsoleHub::kPolled];
        for (int i = 0; i < 8; i++) {
            hub_.prepare(fds);
            if (poll(fds, ConsoleHub::kPolled, 0) <= 0) return;
            hub_.handle(fds);
        }
    }
    std::string read_all(int fd) {
        std::string text;
        std::array<char, 4096> piece;
        ssize_t got;
        while ((got = read(fd, piece.data(), piece.size())) > 0) text.append(piece.data(), static_cast<size_t>(got));
        return text;
    }
    void put(int fd, const std::string& text) {
        EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    RotatingLog log_;
    ConsoleHub hub_;
    Pair machine_;
    std::array<Pair, 2> clients_;
};

TEST_F(ConsoleHubTest, ShowsEverybodyWhatTheMachinePrints) {
    put(machine_.ends[1], "hello");
    turn();
    EXPECT_EQ(read_all(clients_[0].ends[1]), "hello");
    EXPECT_EQ(read_all(clients_[1].ends[1]), "hello");
    EXPECT_EQ(content("log"), "hello");
}

TEST_F(ConsoleHubTest, GivesTheMachineWhatIsTyped) {
    put(clients_[0].ends[1], "one");
    turn();
    put(clients_[1].ends[1], "two");
    turn();
    EXPECT_EQ(read_all(machine_.ends[1]), "onetwo");
}

TEST_F(ConsoleHubTest, LosesNothingOfALongInput) {
    std::string sent, arrived;
    for (int i = 0; sent.size() < (1 << 20); i++) sent += std::to_string(i) + "\n";
    size_t at = 0;
    while (arrived.size() < sent.size()) {
        const ssize_t put = at < sent.size() ? write(clients_[0].ends[1], &sent[at], sent.size() - at) : 0;
        if (put > 0) at += static_cast<size_t>(put);
        turn();
        arrived += read_all(machine_.ends[1]);
    }
    EXPECT_EQ(arrived, sent);
}

TEST_F(ConsoleHubTest, IsNotHeldUpByAClientThatReadsNothing) {
    const std::string much(64 << 10, 'x');
    for (int i = 0; i < 32; i++) {
        put(machine_.ends[1], much);
        turn();
        EXPECT_EQ(read_all(clients_[0].ends[1]), much);
    }
    EXPECT_TRUE(hub_.pending());
    EXPECT_GE(read_all(clients_[1].ends[1]).size(), size_t{64} << 10);
}

TEST_F(ConsoleHubTest, GoesOnWithoutClientsAndWithoutAMachine) {
    shutdown(clients_[0].ends[1], SHUT_RDWR);
    turn();
    put(machine_.ends[1], "still here");
    turn();
    EXPECT_EQ(read_all(clients_[1].ends[1]), "still here");
    put(machine_.ends[1], "last words");
    shutdown(machine_.ends[1], SHUT_WR);
    hub_.drain_machine();
    turn();
    EXPECT_EQ(read_all(clients_[1].ends[1]), "last words");
    put(clients_[1].ends[1], "nobody hears this");
    turn();
    EXPECT_EQ(content("log"), "still herelast words");
}

}  // namespace
}  // namespace doppel::instance
