#include "machine/agent/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "agent/client/client.h"
#include "base/temporary_folder.h"
#include "machine/agent/testing.h"

namespace doppel::machine::agent {
namespace {

using doppel::agent::Outcome;
using doppel::agent::Service;
using doppel::agent::Status;
using doppel::agent::client::Client;

constexpr int kPatience = 60'000;  // milliseconds

// The loop runs here, a client in a thread of its own.
class AgentServerTest : public testing::Test {
  protected:
    AgentServerTest() : loop(std::move(*EventLoop::create())), link(*loop, pipe) {
        path = folder.path() / "agent";
        auto opened = AgentServer::open(path, *loop, link, nullptr);
        EXPECT_TRUE(opened) << opened.error().message();
        server = std::move(*opened);
    }
    // What the link's agent is asked next.
    std::string asked() {
        for (int i = 0; i < 60'000; i++) {
            if (std::string frame = pipe.next(); !frame.empty()) return frame;
            loop->run_ready();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return "(nothing)";
    }

    TemporaryFolder folder;
    std::filesystem::path path;
    std::unique_ptr<EventLoop> loop;
    FakePipe pipe;
    AgentLink link;
    std::unique_ptr<AgentServer> server;
};

TEST_F(AgentServerTest, IsForItsOwnerAlone) {
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(AgentServerTest, PassesARequestOnAndItsAnswerBack) {
    pipe.greet();
    Result<Outcome> outcome = Outcome{};
    std::atomic<bool> over{false};
    std::thread asker([&] {
        auto client = Client::connect(path, kPatience);
        ASSERT_TRUE(client) << client.error().message();
        EXPECT_TRUE(client->can(Service::kStatistics));
        outcome = client->run(Service::kPci, {'r'});
        over = true;
    });
    EXPECT_EQ(asked(), "2/4/1:r");
    EXPECT_EQ(asked().substr(0, 6), "5/0/1:") << "credit";
    EXPECT_EQ(asked(), "4/0/1:");
    pipe.say_result(1, {.exit_code = 3});
    while (!over) loop->run_ready();
    asker.join();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->exit_code, 3u);
}

TEST_F(AgentServerTest, LetsAClientWaitForTheAgentAndTellsItWhenThatGoes) {
    Result<Outcome> outcome = Outcome{};
    std::atomic<bool> over{false};
    std::thread asker([&] {
        auto client = Client::connect(path, kPatience);
        ASSERT_TRUE(client) << client.error().message();
        outcome = client->run(Service::kPci, {});
        over = true;
    });
    while (server->clients() == 0) loop->run_ready();
    pipe.greet();
    EXPECT_EQ(asked(), "2/4/1:");
    pipe.open(false);
    while (!over) loop->run_ready();
    asker.join();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, Status::kLost);
}

TEST_F(AgentServerTest, ClosesTheChannelsOfAClientThatGoes) {
    pipe.greet();
    std::thread asker([&] {
        auto client = Client::connect(path, kPatience);
        ASSERT_TRUE(client);
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        close(ends[1]);  // so that reading works, and writing to the other end does not
        (void)client->run(Service::kExec, {}, {.input = -1, .output = ends[0], .control = {}, .info = {}});
        close(ends[0]);
    });
    EXPECT_EQ(asked(), "2/0/1:");
    pipe.say_text(FrameType::kData, 1, 1, "for a descriptor that cannot be written");
    std::string frame;
    while ((frame = asked()) != "7/0/1:") ASSERT_NE(frame, "(nothing)");
    asker.join();
}

TEST_F(AgentServerTest, GivesUpOnAnAgentThatDoesNotAnswer) {
    std::atomic<bool> over{false};
    std::string why;
    std::thread asker([&] {
        auto client = Client::connect(path, 50);
        if (!client) why = client.error().message();
        over = true;
    });
    while (!over) loop->run_ready();
    asker.join();
    EXPECT_NE(why.find("no agent answers"), why.npos) << why;
}

}  // namespace
}  // namespace doppel::machine::agent
