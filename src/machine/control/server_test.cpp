#include "machine/control/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/temporary_folder.h"
#include "base/unix_socket.h"
#include "machine/control/client.h"

namespace doppel::machine::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kPatience = 60'000;  // milliseconds

class FakeMachine final : public Target {
  public:
    Result<> carry_out(const Request& request, std::vector<UniqueFd> descriptors) override {
        given = std::move(descriptors);
        asked.push_back(request.command);
        if (request.command == Command::kPowerKey) return fail(Error{"press the power key", "", "nobody listens", ""});
        paused = request.command == Command::kPause;
        return {};
    }
    Status status() const override { return {.paused = paused, .engine = "fake", .cpus = 2}; }
    std::vector<Command> asked;
    std::vector<UniqueFd> given;  // with the last request
    bool paused = false;
};

class ControlServerTest : public testing::Test {
  protected:
    ControlServerTest() : loop_(*EventLoop::create()), path_(folder_ / "control") {
        server_ = *ControlServer::open(path_, *loop_, machine_, nullptr);
        thread_ = std::thread([this] { loop_->run(); });
    }
    ~ControlServerTest() override { stop(); }
    void stop() {
        loop_->stop();
        if (thread_.joinable()) thread_.join();
    }
    UniqueFd connected() {
        UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un address = unix_socket_address(path_);
        EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    // Sends, and reads until there are `lines` lines or the connection ends.
    std::string exchange(int fd, const std::string& text, long lines) {
        EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
        std::string seen;
        char piece[4096];
        while (std::count(seen.begin(), seen.end(), '\n') < lines) {
            const ssize_t got = read(fd, piece, sizeof piece);
            if (got <= 0) break;
            seen.append(piece, static_cast<size_t>(got));
        }
        return seen;
    }

    TemporaryFolder folder_;
    std::unique_ptr<EventLoop> loop_;
    FakeMachine machine_;
    std::string path_;
    std::unique_ptr<ControlServer> server_;
    std::thread thread_;
};

TEST_F(ControlServerTest, CarriesOutWhatItIsAsked) {
    const auto status = ask(path_, {Command::kPause}, kPatience);
    ASSERT_TRUE(status) << status.error().message();
    EXPECT_TRUE(status->paused);
    EXPECT_EQ(status->engine, "fake");
    EXPECT_FALSE(ask(path_, {Command::kResume}, kPatience)->paused);
    stop();
    EXPECT_THAT(machine_.asked, ElementsAre(Command::kPause, Command::kResume));
}

TEST_F(ControlServerTest, TellsWhatTheMachineRefuses) {
    const auto status = ask(path_, {Command::kPowerKey}, kPatience);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message(), "press the power key: nobody listens");
}

TEST_F(ControlServerTest, AnswersSeveralLinesOfOneClientInTheirOrder) {
    const UniqueFd client = connected();
    const std::string seen =
        exchange(client.get(), encode(Request{Command::kPause}) + "nonsense\n" + encode(Request{Command::kResume}), 3);
    const auto first = seen.find("\"paused\":true"), second = seen.find("no JSON object"),
               third = seen.find("\"paused\":false");
    ASSERT_NE(third, seen.npos) << seen;
    EXPECT_LT(first, second);
    EXPECT_LT(second, third);
}

TEST_F(ControlServerTest, EndsAConnectionWhoseLineHasNoEnd) {
    const UniqueFd client = connected();
    EXPECT_EQ(exchange(client.get(), std::string(kMaxLine, 'x'), 1), "");
    EXPECT_TRUE(ask(path_, {}, kPatience));
}

TEST_F(ControlServerTest, ServesManyClientsOneAfterTheOther) {
    std::vector<UniqueFd> idle;
    for (size_t i = 0; i < ControlServer::kMaxClients; i++) idle.push_back(connected());
    std::thread waiting([&] { EXPECT_TRUE(ask(path_, {}, kPatience)); });
    EXPECT_THAT(exchange(idle.front().get(), encode(Request{}), 1), HasSubstr("\"ok\":true"));
    idle.clear();
    waiting.join();
}

TEST(ControlClient, SaysThatNobodyIsThere) {
    const TemporaryFolder folder;
    EXPECT_FALSE(ask(folder / "none", {}, kPatience));
}

TEST_F(ControlServerTest, ADescriptorComesWithItsRequestAndWithNoOther) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reads(ends[0]);
    UniqueFd writes(ends[1]);
    Request request{Command::kAttachDisk};
    request.disk = "/disk";
    ASSERT_TRUE(ask(path_, request, kPatience, writes.get()));
    writes.reset();
    ASSERT_EQ(machine_.given.size(), 1u);
    EXPECT_EQ(::write(machine_.given[0].get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(reads.get(), &byte, 1), 1);
    ASSERT_TRUE(ask(path_, {}, kPatience));
    EXPECT_TRUE(machine_.given.empty());
}

}  // namespace
}  // namespace doppel::machine::control
