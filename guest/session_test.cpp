// The agent in a process of its own, at the end of a socket, and a host that a test plays.
#include "guest/session.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/byte_order.h"
#include "base/temporary_folder.h"

namespace doppel::guest {
namespace {

using namespace agent;

class SessionTest : public testing::Test {
  protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        host.reset(ends[0]);
        std::fflush(stdout);  // ThreadSanitizer's _exit writes what a child has inherited, into a program's output
        agent_process = fork();
        if (agent_process == 0) {
            host.reset();
            signal(SIGPIPE, SIG_IGN);
            fcntl(ends[1], F_SETFL, O_NONBLOCK);
            Session(ends[1]).serve();
            _exit(0);
        }
        close(ends[1]);
    }
    void TearDown() override {
        host.reset();
        int status = 0;
        waitpid(agent_process, &status, 0);
        EXPECT_EQ(status, 0) << "the agent did not end by itself";
    }
    void say(std::span<const uint8_t> bytes) {
        while (!bytes.empty()) {
            const ssize_t put = send(host.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            ASSERT_GT(put, 0);
            bytes = bytes.subspan(static_cast<size_t>(put));
        }
    }
    void say(FrameType type, uint8_t stream, uint32_t channel, std::span<const uint8_t> payload = {}) {
        Bytes bytes;
        append_frame(bytes, {type, stream, channel, payload});
        say(bytes);
    }
    void say_text(uint32_t channel, std::string_view text) {
        say(FrameType::kData, 0, channel, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    void greet(uint64_t session = 1) {
        Bytes bytes;
        append_hello(bytes, {.session = session});
        say(bytes);
        Hello answer;
        while (answer.session != session) {
            const Frame frame = next();
            ASSERT_NE(frame.type, FrameType{}) << "the agent hung up";
            if (frame.type == FrameType::kHello) answer = *parse_hello(frame.payload);
        }
        EXPECT_EQ(answer.services, 0xffu);
    }
    // The next frame; FrameType{} at the end.
    Frame next() {
        Frame frame;
        while (reader.next(frame) != FrameReader::Found::kFrame) {
            std::array<uint8_t, 4096> piece;
            const ssize_t got = read(host.get(), piece.data(), piece.size());
            if (got <= 0) return {};
            reader.feed({piece.data(), static_cast<size_t>(got)});
        }
        return frame;
    }
    template <class Request>
    void open(uint32_t channel, Service service, const Request& request) {
        say(FrameType::kOpen, static_cast<uint8_t>(service), channel, encode(request));
    }
    void shell(uint32_t channel, const std::string& script) {
        open(channel, Service::kExec, ExecRequest{.arguments = {"sh", "-c", script}});
    }
    // Until the channel's RESULT; what came on all channels is kept, DATA by channel.
    Outcome result_of(uint32_t channel) {
        while (true) {
            const Frame frame = next();
            EXPECT_NE(frame.type, FrameType{}) << "the agent hung up";
            if (frame.type == FrameType{}) return {};
            if (frame.type == FrameType::kData)
                output[frame.channel].append(frame.payload.begin(), frame.payload.end());
            if (frame.type == FrameType::kInfo) info.assign(frame.payload.begin(), frame.payload.end());
            if (frame.type == FrameType::kResult && frame.channel == channel) {
                return decode<Outcome>(frame.payload).value_or(Outcome{.status = Status::kFailed});
            }
        }
    }
    static std::string content(const std::filesystem::path& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }

    UniqueFd host;
    pid_t agent_process = -1;
    FrameReader reader;
    std::map<uint32_t, std::string> output;
    Bytes info;
};

TEST_F(SessionTest, RunsAProgramWithInputOutputAndExitCode) {
    greet();
    shell(1, "read line; echo got $line; echo oops >&2; exit 9");
    say_text(1, "hello\n");
    const Outcome outcome = result_of(1);
    EXPECT_EQ(outcome.status, Status::kDone);
    EXPECT_EQ(outcome.exit_code, 9u);
    EXPECT_EQ(output[1].size(), std::string("got hello\noops\n").size());
    EXPECT_NE(output[1].find("got hello\n"), std::string::npos);
}

TEST_F(SessionTest, SaysWhyAProgramDoesNotRun) {
    greet();
    open(1, Service::kExec, ExecRequest{.arguments = {"/none/at/all"}});
    EXPECT_EQ(result_of(1).status, Status::kNotFound);
    open(1, Service::kExec, ExecRequest{.arguments = {"/etc/passwd"}});
    EXPECT_EQ(result_of(1).status, Status::kNotExecutable);
    open(1, Service::kExec, ExecRequest{});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
    open(1, Service::kExec, ExecRequest{.arguments = {"true"}, .directory = "/none"});
    EXPECT_EQ(result_of(1).status, Status::kFailed);
    say(FrameType::kOpen, 0, 1, Bytes{1, 2, 3});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
    say(FrameType::kOpen, 99, 1);
    EXPECT_EQ(result_of(1).status, Status::kRefused);
}

TEST_F(SessionTest, TellsTheSignalThatEndedAProgramAndPassesSignalsOn) {
    greet();
    shell(1, "echo ready; sleep 1000");
    while (next().type != FrameType::kData) {
    }
    say(FrameType::kControl, 0, 1, encode(Control{.signal = SIGTERM}));
    EXPECT_EQ(result_of(1).signal, static_cast<uint32_t>(SIGTERM));
}

TEST_F(SessionTest, GivesATerminalOfTheSizeThatIsAsked) {
    greet();
    ExecRequest request{.arguments = {"sh", "-c", "stty size; read line; stty size"}};
    request.terminal = TerminalSize{80, 25};
    open(1, Service::kExec, request);
    while (next().type != FrameType::kData) {
    }
    say(FrameType::kControl, 0, 1, encode(Control{.size = TerminalSize{100, 30}}));
    say_text(1, "\n");
    EXPECT_EQ(result_of(1).exit_code, 0u);
    EXPECT_NE(output[1].find("30 100"), std::string::npos) << output[1];
}

TEST_F(SessionTest, SendsNoMoreThanItsCreditAndGoesOnWithMore) {
    greet();
    shell(1, "head -c 200000 /dev/zero");
    shell(2, "echo beside");
    EXPECT_EQ(result_of(2).status, Status::kDone) << "a stream that waits stops no other";
    EXPECT_EQ(output[2], "beside\n");
    shell(3, "sleep 0.2");
    EXPECT_EQ(result_of(3).status, Status::kDone);
    EXPECT_EQ(output[1].size(), kInitialWindow);
    Bytes credit(4);
    store_le(credit.data(), uint32_t{200000});
    say(FrameType::kCredit, 0, 1, credit);
    EXPECT_EQ(result_of(1).exit_code, 0u);
    EXPECT_EQ(output[1].size(), 200000u);
}

TEST_F(SessionTest, PutsAFileWholeOrNotAtAll) {
    TemporaryFolder folder;
    const auto path = folder / "file";
    greet();
    open(1, Service::kPut, PutRequest{.path = path, .mode = 0640, .mtime = 1'000'000'007});
    say_text(1, "content");
    say(FrameType::kEnd, 0, 1);
    const Outcome outcome = result_of(1);
    EXPECT_EQ(outcome.status, Status::kDone) << outcome.why;
    EXPECT_EQ(content(path), "content");
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_mtim.tv_sec, 1);
    EXPECT_EQ(status.st_mtim.tv_nsec, 7);

    open(1, Service::kPut, PutRequest{.path = path});
    say_text(1, "half of a new one");
    for (int i = 0; i < 10000 && folder.count() < 2; i++) usleep(1000);
    ASSERT_EQ(folder.count(), 2u) << "the new one is beside the old one until it is whole";
    say(FrameType::kClose, 0, 1);
    EXPECT_EQ(result_of(1).status, Status::kClosed);
    host.reset();  // the agent ends; so do its workers
    for (int i = 0; i < 10000 && folder.count() > 1; i++) usleep(1000);
    EXPECT_EQ(folder.count(), 1u);
    EXPECT_EQ(content(path), "content");
}

TEST_F(SessionTest, GetsAFileWithWhatThereIsToKnow) {
    TemporaryFolder folder;
    const std::string text(30000, 'g');
    std::ofstream(folder / "file") << text;
    std::filesystem::permissions(folder / "file", std::filesystem::perms::owner_all);
    greet();
    open(1, Service::kGet, GetRequest{folder / "file"});
    EXPECT_EQ(result_of(1).status, Status::kDone);
    EXPECT_EQ(output[1], text);
    const auto known = decode<FileInfo>(info);
    ASSERT_TRUE(known);
    EXPECT_EQ(known->size, text.size());
    EXPECT_EQ(known->mode, 0700u);
    open(1, Service::kGet, GetRequest{folder.path()});
    EXPECT_EQ(result_of(1).error, static_cast<uint32_t>(EISDIR));
    open(1, Service::kPut, PutRequest{.path = folder.path()});
    EXPECT_EQ(result_of(1).error, static_cast<uint32_t>(EISDIR));
}

TEST_F(SessionTest, TellsStatistics) {
    greet();
    say(FrameType::kOpen, static_cast<uint8_t>(Service::kStatistics), 1);
    EXPECT_EQ(result_of(1).status, Status::kDone);
    const auto statistics = decode<Statistics>(info);
    ASSERT_TRUE(statistics);
    EXPECT_GT(statistics->memory, 0u);
    EXPECT_GT(statistics->processes, 0u);
    EXPECT_FALSE(statistics->kernel.empty());
}

TEST_F(SessionTest, RefusesWhatItCannotDoBeforeItDoesAnything) {
    greet();
    open(1, Service::kPci, PciRequest{"../../x"});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
    open(1, Service::kIdentity, IdentityRequest{.hostname = "a b"});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
    open(1, Service::kIdentity, IdentityRequest{.machine_id = "short"});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
    open(1, Service::kPower, PowerRequest{static_cast<PowerAction>(9)});
    EXPECT_EQ(result_of(1).status, Status::kRefused);
}

TEST_F(SessionTest, BeginsAnewWithAnotherHello) {
    greet(1);
    shell(1, "echo ready; trap 'exit 0' HUP; while :; do sleep 0.05; done");
    while (next().type != FrameType::kData) {
    }
    greet(2);
    shell(1, "echo again");
    EXPECT_EQ(result_of(1).status, Status::kDone);
    EXPECT_EQ(output[1], "again\n") << "the channel of the session before is gone";
}

TEST_F(SessionTest, SkipsWhatIsInFrontOfTheFirstHello) {
    say(std::vector<uint8_t>(10000, 0xda));
    greet();
    shell(1, "exit 4");
    EXPECT_EQ(result_of(1).exit_code, 4u);
}

TEST_F(SessionTest, HangsUpOnAHostThatLostItsWay) {
    greet();
    say(std::vector<uint8_t>(100, 'x'));
    EXPECT_EQ(next().type, FrameType{});
}

TEST_F(SessionTest, RefusesMoreRequestsAtOnceThanThereAreChannels) {
    greet();
    for (uint32_t i = 1; i <= kMaxChannels; i++) shell(i, "read line");
    shell(kMaxChannels + 1, "true");
    EXPECT_EQ(result_of(kMaxChannels + 1).status, Status::kRefused);
    say(FrameType::kEnd, 0, 1);
    EXPECT_EQ(result_of(1).status, Status::kDone);
    shell(1, "true");
    EXPECT_EQ(result_of(1).exit_code, 0u);
}

}  // namespace
}  // namespace doppel::guest
