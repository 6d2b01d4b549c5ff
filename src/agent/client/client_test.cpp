// The client against a machine that a thread of the test plays, at the other end of a real socket.
#include "agent/client/client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "base/byte_order.h"
#include "base/temporary_folder.h"
#include "base/unix_socket.h"

namespace doppel::agent::client {
namespace {

constexpr int kPatience = 60'000;

// What a script of the machine's side says and hears. Everything but a Frame with type 0 was sent by the client.
class Machine {
  public:
    explicit Machine(int socket) : socket_(socket) {}
    Frame next() {
        Frame frame;
        while (reader_.next(frame) != FrameReader::Found::kFrame) {
            std::array<uint8_t, 4096> piece;
            const ssize_t got = ::read(socket_, piece.data(), piece.size());
            if (got <= 0) return {};
            reader_.feed({piece.data(), static_cast<size_t>(got)});
        }
        return frame;
    }
    // Skips what is of other types; type 0 at the end.
    Frame next(FrameType type) {
        Frame frame = next();
        while (frame.type != type && frame.type != FrameType{}) frame = next();
        return frame;
    }
    void say(std::span<const uint8_t> bytes) {
        while (!bytes.empty()) {
            const ssize_t put = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (put <= 0) return;
            bytes = bytes.subspan(static_cast<size_t>(put));
        }
    }
    void say(FrameType type, uint8_t stream, uint32_t channel, std::span<const uint8_t> payload = {}) {
        Bytes bytes;
        append_frame(bytes, {type, stream, channel, payload});
        say(bytes);
    }
    void say_data(Stream stream, uint32_t channel, std::string_view text) {
        say(FrameType::kData, static_cast<uint8_t>(stream), channel,
            {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    void say_outcome(uint32_t channel, const Outcome& outcome = {}) {
        say(FrameType::kResult, 0, channel, encode(outcome));
    }
    void say_credit(uint32_t channel, uint32_t bytes) {
        std::array<uint8_t, 4> raw;
        store_le(raw.data(), bytes);
        say(FrameType::kCredit, 0, channel, raw);
    }
    void greet(std::function<void(Hello&)> change = {}) {
        Hello hello = parse_hello(next(FrameType::kHello).payload).value_or(Hello{});
        hello.services = 0xff;
        if (change) change(hello);
        Bytes bytes;
        append_hello(bytes, hello);
        say(bytes);
    }
    // After the greeting: the request that is opened.
    template <class Request>
    Request opened(uint32_t& channel) {
        const Frame frame = next(FrameType::kOpen);
        channel = frame.channel;
        return decode<Request>(frame.payload).value_or(Request{});
    }
    // All input of a channel, given credit as it comes.
    std::string input(uint32_t channel) {
        std::string all;
        while (true) {
            const Frame frame = next();
            if (frame.type != FrameType::kData) {
                if (frame.type == FrameType::kEnd || frame.type == FrameType{}) return all;
                continue;
            }
            all.append(frame.payload.begin(), frame.payload.end());
            const auto bytes = static_cast<uint32_t>(frame.payload.size());
            say_credit(channel, bytes);
        }
    }

  private:
    int socket_;
    FrameReader reader_;
};

using Script = std::function<void(Machine&)>;

class AgentClient : public testing::Test {
  protected:
    ~AgentClient() override { finish(); }
    // From now on: accepts one connection, plays, and hangs up.
    void play(Script script) {
        finish();
        std::filesystem::remove(path());
        auto listener = listen_on_unix_socket(path(), "test");
        ASSERT_TRUE(listener.has_value());
        thread_ = std::thread([listener = std::move(*listener), script = std::move(script)] {
            pollfd wait{listener.get(), POLLIN, 0};
            if (poll(&wait, 1, kPatience) != 1) return;
            const UniqueFd socket(accept(listener.get(), nullptr, nullptr));
            Machine machine(socket.get());
            script(machine);
        });
    }
    // Until the script has ended.
    void finish() {
        if (thread_.joinable()) thread_.join();
    }
    Result<Client> connect(int patience = kPatience) { return Client::connect(path(), patience); }
    std::filesystem::path path() const { return folder / "agent.sock"; }
    static UniqueFd make_file(const std::filesystem::path& at, std::string_view content = {}) {
        std::ofstream(at) << content;
        return UniqueFd(open(at.c_str(), O_RDWR | O_CLOEXEC));
    }
    static std::string content(const std::filesystem::path& at) {
        std::ostringstream text;
        text << std::ifstream(at).rdbuf();
        return text.str();
    }

    TemporaryFolder folder;

  private:
    std::thread thread_;
};

TEST_F(AgentClient, LearnsWhatTheAgentCanDo) {
    play([](Machine& machine) {
        machine.greet([](Hello& hello) { hello.services = 1 << static_cast<int>(Service::kPut); });
        machine.next();
    });
    auto client = connect();
    ASSERT_TRUE(client.has_value()) << client.error().message();
    EXPECT_TRUE(client->can(Service::kPut));
    EXPECT_FALSE(client->can(Service::kExec));
}

TEST_F(AgentClient, SaysThatTheMachineSpeaksAnotherProtocol) {
    for (auto change : {+[](Hello& hello) { hello.version = hello.oldest_version = kVersion + 1; },
                        +[](Hello& hello) { hello.session++; }}) {
        play([change](Machine& machine) { machine.greet(change); });
        auto client = connect();
        ASSERT_FALSE(client.has_value());
        EXPECT_NE(client.error().message().find("it speaks another protocol"), std::string::npos);
    }
}

TEST_F(AgentClient, SaysThatNoAgentAnswers) {
    play([](Machine& machine) {
        machine.next(FrameType::kHello);
        machine.next();  // until the client goes
    });
    auto client = connect(50);
    ASSERT_FALSE(client.has_value());
    EXPECT_NE(client.error().message().find("no agent answers"), std::string::npos) << client.error().message();
}

TEST_F(AgentClient, SaysThatNobodyListens) {
    auto client = connect();
    ASSERT_FALSE(client.has_value());
    EXPECT_NE(client.error().message().find("agent.sock"), std::string::npos);
    EXPECT_FALSE(Client::connect(std::string(200, 'x'), 0).has_value());
}

TEST_F(AgentClient, CarriesOutputErrorsAndTheExitCode) {
    play([](Machine& machine) {
        machine.greet();
        uint32_t channel = 0;
        const auto request = machine.opened<ExecRequest>(channel);
        machine.say_data(Stream::kOutput, channel + 1, "of a channel that nobody has");
        machine.say_data(Stream::kOutput, channel, request.arguments.at(0));
        machine.say_data(Stream::kError, channel, "oh");
        machine.say_data(Stream::kOutput, channel, "!");
        machine.say_outcome(channel, {.exit_code = 7});
        machine.next(FrameType::kClose);
    });
    const UniqueFd out = make_file(folder / "out"), err = make_file(folder / "err");
    auto client = connect();
    ASSERT_TRUE(client.has_value());
    auto outcome = client->run(Service::kExec, encode(ExecRequest{.arguments = {"hello"}}),
                               {.output = out.get(), .error = err.get(), .control = {}, .info = {}});
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message();
    EXPECT_EQ(outcome->exit_code, 7u);
    EXPECT_EQ(content(folder / "out"), "hello!");
    EXPECT_EQ(content(folder / "err"), "oh");
}

TEST_F(AgentClient, SendsInputNoFasterThanCreditComes) {
    const std::string text(3 << 20, 'i');
    std::string arrived;
    bool early = false;
    {
        play([&](Machine& machine) {
            machine.greet();
            uint32_t channel = 0;
            machine.opened<ExecRequest>(channel);
            size_t allowed = kInitialWindow;
            while (arrived.size() < text.size()) {
                const Frame frame = machine.next(FrameType::kData);
                if (frame.type == FrameType{}) return;
                arrived.append(frame.payload.begin(), frame.payload.end());
                early = early || arrived.size() > allowed;
                if (arrived.size() == allowed) {
                    machine.say_credit(channel, 100'000);
                    allowed += 100'000;
                }
            }
            machine.next(FrameType::kEnd);
            machine.say_outcome(channel);
        });
        const UniqueFd in = make_file(folder / "in", text);
        auto client = connect();
        ASSERT_TRUE(client.has_value());
        auto outcome = client->run(Service::kExec, {}, {.input = in.get(), .control = {}, .info = {}});
        ASSERT_TRUE(outcome.has_value()) << outcome.error().message();
    }
    finish();
    EXPECT_EQ(arrived, text);
    EXPECT_FALSE(early);
}

TEST_F(AgentClient, GivesCreditForWhatItHasWritten) {
    const std::string text(1 << 20, 'o');
    play([&](Machine& machine) {
        machine.greet();
        uint32_t channel = 0;
        machine.opened<ExecRequest>(channel);
        size_t allowed = kInitialWindow, said = 0;
        while (said < text.size()) {
            while (allowed == 0) {
                const Frame frame = machine.next(FrameType::kCredit);
                if (frame.type == FrameType{}) return;
                allowed += load_le<uint32_t>(frame.payload.data());
            }
            const size_t now = std::min({text.size() - said, allowed, size_t{20'000}});
            machine.say_data(Stream::kOutput, channel, std::string_view(text).substr(said, now));
            said += now;
            allowed -= now;
        }
        machine.say_outcome(channel);
    });
    const UniqueFd out = make_file(folder / "out");
    auto client = connect();
    ASSERT_TRUE(client.has_value());
    auto outcome = client->run(Service::kExec, {}, {.output = out.get(), .control = {}, .info = {}});
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message();
    EXPECT_EQ(content(folder / "out"), text);
}

TEST_F(AgentClient, TellsTheProgramOfSignalsAndSizes) {
    std::optional<Control> told;
    std::array<int, 2> wake{};
    ASSERT_EQ(pipe2(wake.data(), O_CLOEXEC), 0);
    const UniqueFd wake_end(wake[0]), waker(wake[1]);
    {
        play([&](Machine& machine) {
            machine.greet();
            uint32_t channel = 0;
            machine.opened<ExecRequest>(channel);
            (void)!write(waker.get(), "x", 1);
            told = decode<Control>(machine.next(FrameType::kControl).payload);
            machine.say_outcome(channel);
        });
        auto client = connect();
        ASSERT_TRUE(client.has_value());
        const auto control = [&]() -> std::optional<Control> {
            char taken = 0;
            if (read(wake_end.get(), &taken, 1) != 1) return std::nullopt;
            Control message;
            message.signal = 15;
            return message;
        };
        ASSERT_TRUE(
            client->run(Service::kExec, {}, {.wake = wake_end.get(), .control = control, .info = {}}).has_value());
    }
    finish();
    ASSERT_TRUE(told.has_value());
    EXPECT_EQ(told->signal, 15u);
}

// What a machine says that is broken or lies, and that it is an error at once and not a wait or more memory.
TEST_F(AgentClient, GivesUpOnAMachineThatBreaksTheProtocol) {
    const std::vector<std::function<void(Machine&, uint32_t)>> lies = {
        [](Machine&, uint32_t) {},  // hangs up
        [](Machine& machine, uint32_t) { machine.say(Bytes(64, 0xee)); },
        [](Machine& machine, uint32_t channel) {
            for (int i = 0; i < 100; i++) machine.say_data(Stream::kOutput, channel, std::string(kMaxPayload, 'x'));
        },
        [](Machine& machine, uint32_t channel) {
            machine.say_credit(channel, kMaxWindow);
            machine.say_credit(channel, 0xffffffff);
        },
        [](Machine& machine, uint32_t channel) { machine.say(FrameType::kCredit, 0, channel, Bytes(3)); },
        [](Machine& machine, uint32_t channel) { machine.say(FrameType::kResult, 0, channel, Bytes(7, 0xff)); },
    };
    for (size_t i = 0; i < lies.size(); i++) {
        std::array<int, 2> stuck{};  // output that nobody takes
        ASSERT_EQ(pipe2(stuck.data(), O_CLOEXEC | O_NONBLOCK), 0);
        const UniqueFd reader(stuck[0]), writer(stuck[1]);
        play([lie = lies[i]](Machine& machine) {
            machine.greet();
            uint32_t channel = 0;
            machine.opened<ExecRequest>(channel);
            lie(machine, channel);
        });
        auto client = connect();
        ASSERT_TRUE(client.has_value());
        auto outcome = client->run(Service::kExec, {}, {.output = writer.get(), .control = {}, .info = {}});
        EXPECT_FALSE(outcome.has_value()) << i;
    }
}

TEST_F(AgentClient, GivesARequestUpWhenItsOutputFails) {
    bool closed = false;
    {
        play([&](Machine& machine) {
            machine.greet();
            uint32_t channel = 0;
            machine.opened<ExecRequest>(channel);
            machine.say_data(Stream::kOutput, channel, "text");
            closed = machine.next(FrameType::kClose).type == FrameType::kClose;
            machine.say_outcome(channel, {.status = Status::kClosed});
            machine.opened<ExecRequest>(channel);
            machine.say_outcome(channel, {.exit_code = 3});
        });
        const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
        auto client = connect();
        ASSERT_TRUE(client.has_value());
        auto outcome = client->run(Service::kExec, {}, {.output = full.get(), .control = {}, .info = {}});
        ASSERT_FALSE(outcome.has_value());
        EXPECT_NE(outcome.error().message().find("the output"), std::string::npos) << outcome.error().message();
        outcome = client->run(Service::kExec, {});
        ASSERT_TRUE(outcome.has_value()) << "the connection is good for others: " << outcome.error().message();
        EXPECT_EQ(outcome->exit_code, 3u);
    }
    finish();
    EXPECT_TRUE(closed);
}

TEST_F(AgentClient, RefusesARequestThatIsTooLong) {
    play([](Machine& machine) {
        machine.greet();
        machine.next();
    });
    auto client = connect();
    ASSERT_TRUE(client.has_value());
    auto outcome = client->run(Service::kExec, Bytes(kMaxPayload + 1));
    ASSERT_FALSE(outcome.has_value());
    EXPECT_NE(outcome.error().message().find("longer than 32 KiB"), std::string::npos);
}

TEST_F(AgentClient, PutsAFileWithItsModeAndTime) {
    PutRequest asked;
    std::string arrived;
    {
        play([&](Machine& machine) {
            machine.greet();
            uint32_t channel = 0;
            asked = machine.opened<PutRequest>(channel);
            arrived = machine.input(channel);
            machine.say_outcome(channel);
        });
        make_file(folder / "from", "content");
        ASSERT_EQ(chmod((folder / "from").c_str(), 04751), 0);
        const timespec times[2] = {{5, 6}, {7, 8}};
        ASSERT_EQ(utimensat(AT_FDCWD, (folder / "from").c_str(), times, 0), 0);
        auto client = connect();
        ASSERT_TRUE(client.has_value());
        auto put = put_file(*client, folder / "from", {.path = "/to"});
        ASSERT_TRUE(put.has_value()) << put.error().message();
        EXPECT_FALSE(put_file(*client, folder / "none", {.path = "/to"}).has_value());
        EXPECT_FALSE(put_file(*client, folder.path(), {.path = "/to"}).has_value());
    }
    finish();
    EXPECT_EQ(arrived, "content");
    EXPECT_EQ(asked.path, "/to");
    EXPECT_EQ(asked.mode, 0751u);
    EXPECT_EQ(asked.mtime, 7'000'000'008);
}

TEST_F(AgentClient, GetsAFileWholeOrNotAtAll) {
    play([](Machine& machine) {
        machine.greet();
        uint32_t channel = 0;
        const auto asked = machine.opened<GetRequest>(channel);
        machine.say(FrameType::kInfo, 0, channel, encode(FileInfo{.mode = 04640, .mtime = 7'000'000'008, .size = 4}));
        machine.say_data(Stream::kOutput, channel, asked.path);
        machine.say_outcome(channel);
        machine.opened<GetRequest>(channel);
        machine.say_data(Stream::kOutput, channel, "half");
        machine.say_outcome(channel, {.status = Status::kFailed, .error = EIO, .why = "/from"});
        machine.opened<GetRequest>(channel);
        machine.say_data(Stream::kOutput, channel, "half");
    });
    auto client = connect();
    ASSERT_TRUE(client.has_value());
    TemporaryFolder to;
    auto got = get_file(*client, "/from", to / "file");
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(content(to / "file"), "/from");
    struct stat status {};
    ASSERT_EQ(stat((to / "file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_mtim.tv_sec, 7);
    EXPECT_EQ(status.st_mtim.tv_nsec, 8);
    for (const char* why : {"failed in the guest", "the connection ended"}) {
        got = get_file(*client, "/from", to / "file");
        EXPECT_FALSE(got.has_value()) << why;
        EXPECT_EQ(content(to / "file"), "/from") << why;
        EXPECT_EQ(to.count(), 1u) << why;
    }
    EXPECT_FALSE(get_file(*client, "/from", to / "none" / "file").has_value());
}

TEST_F(AgentClient, AsksForStatistics) {
    play([](Machine& machine) {
        machine.greet();
        uint32_t channel = machine.next(FrameType::kOpen).channel;
        machine.say(FrameType::kInfo, 0, channel, encode(Statistics{.memory = 77, .hostname = "guest"}));
        machine.say_outcome(channel);
        channel = machine.next(FrameType::kOpen).channel;
        machine.say(FrameType::kInfo, 0, channel, Bytes(5, 0xff));
        machine.say_outcome(channel);
    });
    auto client = connect();
    ASSERT_TRUE(client.has_value());
    auto statistics = get_statistics(*client);
    ASSERT_TRUE(statistics.has_value());
    EXPECT_EQ(statistics->memory, 77u);
    EXPECT_EQ(statistics->hostname, "guest");
    EXPECT_FALSE(get_statistics(*client).has_value()) << "an answer that makes no sense";
}

TEST(OutcomeError, SaysWhatFailedAndWhy) {
    EXPECT_EQ(error_of({.status = Status::kFailed, .error = ENOSPC, .why = "/a"}, "copy").message(),
              "copy: /a: No space left on device");
    EXPECT_EQ(error_of({.status = Status::kNotFound, .why = "ls"}, "run").message(),
              "run: ls: there is no such program in the guest");
}

}  // namespace
}  // namespace doppel::agent::client
