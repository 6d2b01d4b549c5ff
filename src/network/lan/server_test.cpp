// A switch's process, with members in the test's own.
#include "network/lan/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/temporary_folder.h"
#include "base/unix_socket.h"
#include "network/lan/frames_for_tests.h"
#include "network/lan/member_port.h"

namespace doppel::network::lan {
namespace {

using testing::ethernet;
using testing::mac;
using testing::tcp4;

struct Card final : Receiver {
    size_t receive(std::span<const Frame> frames) override {
        const size_t taken = std::min(frames.size(), room);
        for (const Frame& frame : frames.first(taken)) {
            got.emplace_back(frame.bytes.begin(), frame.bytes.end());
            offloads.push_back(frame.offload);
        }
        room -= taken;
        return taken;
    }
    void sendable() override { told_sendable++; }
    void link_changed(bool up) override { link = up; }
    size_t room = 1'000'000;
    std::vector<Bytes> got;
    std::vector<Offload> offloads;
    int told_sendable = 0;
    bool link = true;
};

class ServerTest : public ::testing::Test {
  protected:
    struct Plugged {
        Card card;
        std::unique_ptr<MemberPort> port;
    };

    void SetUp() override {
        NetworkOptions options = default_network("lab");
        options.uplink = Uplink::kNone;
        options.services = false;
        ASSERT_TRUE(folder.get() >= 0);
        auto made = Server::open(*loop, options, folder.get());
        ASSERT_TRUE(made.has_value()) << made.error().message();
        server = std::move(*made);
    }
    UniqueFd connect() {
        UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const sockaddr_un address = unix_socket_address(directory / "lab.socket");
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    Message ask(const UniqueFd& socket, const Json& request) {
        EXPECT_TRUE(send_message(socket.get(), request));
        settle();
        auto answer = receive_message(socket.get(), kMaxAnswer);
        EXPECT_TRUE(answer.has_value());
        return answer ? std::move(*answer) : Message{};
    }
    std::unique_ptr<Plugged> join(uint8_t number, const char* options = "") {
        UniqueFd socket = connect();
        Message answer = ask(socket, to_json(JoinRequest{*port_options_from(options), mac(number), {}}));
        EXPECT_TRUE(check_answer(answer.json).has_value()) << answer.json.dump();
        auto memory = ring::Memory::open(std::move(answer.descriptor));
        EXPECT_TRUE(memory.has_value());
        auto member = std::make_unique<Plugged>();
        member->port = *MemberPort::create(*loop, "lab", std::move(socket), std::move(*memory));
        member->port->attach(&member->card);
        member->port->set_received(MemberPort::kAccepted);
        settle();
        return member;
    }
    void settle() {
        for (int i = 0; i < 100; i++) loop->run_ready();
    }

    ManualClock clock;
    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create(clock));
    TemporaryFolder directory;
    UniqueFd folder{open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    std::unique_ptr<Server> server;
};

TEST_F(ServerTest, CarriesFramesBetweenItsMembersWhole) {
    auto a = join(1), b = join(2);
    const Bytes large = tcp4(mac(2), mac(1), 60'000), small = ethernet(mac(2), mac(1), 0x800);
    EXPECT_EQ(a->port->send(std::vector<Frame>{{testing::cut_tcp4(1448), large}, {{}, small}}), 2u);
    settle();
    EXPECT_EQ(b->card.got, (std::vector<Bytes>{large, small}));
    EXPECT_EQ(b->card.offloads[0], testing::cut_tcp4(1448));
    b->port->set_received({});
    EXPECT_EQ(a->port->send(std::vector<Frame>{{testing::cut_tcp4(1448), large}}), 1u);
    settle();
    EXPECT_EQ(b->card.got.size(), 2u + (60'000 + 1447) / 1448) << "cut for one who does not take it whole";
}

TEST_F(ServerTest, ASenderWaitsForTheSwitchAndHearsOfRoom) {
    auto a = join(1), b = join(2);
    const Bytes large = ethernet(mac(2), mac(1), 0x800, 60'000);
    size_t sent = 0;
    while (a->port->send(std::vector<Frame>{{{}, large}}) == 1) ASSERT_LT(sent++, 1000u);
    settle();
    EXPECT_EQ(b->card.got.size(), sent);
    EXPECT_EQ(a->card.told_sendable, 1);
    EXPECT_EQ(a->port->send(std::vector<Frame>{{{}, large}}), 1u);
}

TEST_F(ServerTest, AMemberThatHasNoRoomKeepsItsFramesInOrder) {
    auto a = join(1), b = join(2);
    b->card.room = 3;
    for (int i = 0; i < 10; i++) a->port->send(std::vector<Frame>{{{}, ethernet(mac(2), mac(1), 0x800, 46 + i)}});
    settle();
    EXPECT_EQ(b->card.got.size(), 3u);
    b->card.room = 100;
    b->port->resume();
    settle();
    ASSERT_EQ(b->card.got.size(), 10u);
    for (size_t i = 0; i < 10; i++) EXPECT_EQ(b->card.got[i].size(), 60 + i);
}

TEST_F(ServerTest, WhatOneSendsBeyondItsRateWaits) {
    auto a = join(1, "rate=1M"), b = join(2);
    const Bytes large = ethernet(mac(2), mac(1), 0x800, 60'000);
    for (int i = 0; i < 10; i++) ASSERT_EQ(a->port->send(std::vector<Frame>{{{}, large}}), 1u);
    settle();
    EXPECT_EQ(b->card.got.size(), 2u) << "the burst";
    clock.advance(1'000'000'000);
    settle();
    EXPECT_GT(b->card.got.size(), 2u);
    for (int i = 0; i < 10; i++, settle()) clock.advance(100'000'000);
    EXPECT_EQ(b->card.got.size(), 10u) << "and nothing is lost";
}

TEST_F(ServerTest, AMemberThatLeavesTakesItsNameAlong) {
    auto a = join(1, "name=web");
    const UniqueFd second = connect();
    EXPECT_FALSE(check_answer(ask(second, to_json(JoinRequest{*port_options_from("name=web"), mac(2), {}})).json));
    a.reset();
    settle();
    auto b = join(2, "name=web");
    EXPECT_TRUE(b->port->link_up());
}

TEST_F(ServerTest, TheEndOfTheSwitchIsALinkThatIsDown) {
    auto a = join(1);
    server.reset();
    settle();
    EXPECT_FALSE(a->card.link);
    EXPECT_FALSE(a->port->link_up());
    EXPECT_EQ(a->port->send(std::vector<Frame>{{{}, ethernet(mac(2), mac(1), 0x800)}}), 1u) << "lost";
    EXPECT_EQ(directory.count(), 0u) << "its socket is gone";
}

TEST_F(ServerTest, NonsenseOnItsSocketIsRefused) {
    auto a = join(1);
    for (const char* text : {"", "x", "[]", "{\"do\":7}", "{\"do\":\"join\",\"mac\":1}", "{\"do\":\"join\"}"}) {
        const UniqueFd socket = connect();
        ASSERT_GE(send(socket.get(), text, strlen(text), MSG_NOSIGNAL), 0);
        settle();
        const auto answer = receive_message(socket.get(), kMaxAnswer);
        EXPECT_TRUE(!answer || !check_answer(answer->json)) << text;
    }
    EXPECT_EQ(server->lan().ports().size(), 1u);
    EXPECT_TRUE(a->port->link_up());
}

TEST_F(ServerTest, ShowsWhatItCountsAndCaptures) {
    auto a = join(1, "name=a"), b = join(2, "name=b,vlan=7");
    const UniqueFd watcher = connect();
    EXPECT_TRUE(check_answer(ask(watcher, {{"do", "capture"}, {"port", "a"}}).json));
    a->port->send(std::vector<Frame>{{{}, ethernet(kBroadcast, mac(1), 0x800)}});
    b->port->send(std::vector<Frame>{{{}, ethernet(kBroadcast, mac(2), 0x800)}});
    settle();
    std::array<uint8_t, 4096> block{};
    std::vector<uint32_t> kinds;
    while (true) {
        const ssize_t got = recv(watcher.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (got <= 0) break;
        kinds.push_back(load_le<uint32_t>(block.data()));
        EXPECT_EQ(load_le<uint32_t>(&block[4]), got);
        EXPECT_EQ(load_le<uint32_t>(&block[static_cast<size_t>(got) - 4]), got);
    }
    EXPECT_EQ(kinds, (std::vector<uint32_t>{0x0a0d0d0a, 1, 6})) << "nothing of the other VLAN";
    const UniqueFd asker = connect();
    const Json shown = ask(asker, {{"do", "show"}}).json;
    ASSERT_EQ(shown["ports"].size(), 2u);
    EXPECT_EQ(shown["ports"][0]["counters"]["received"], 1);
    EXPECT_FALSE(check_answer(ask(asker, {{"do", "capture"}, {"port", "nobody"}}).json));
}

TEST_F(ServerTest, EndsAfterItsLastMemberAndNotBefore) {
    auto a = join(1);
    clock.advance(2 * Server::kIdle);
    settle();
    EXPECT_EQ(directory.count(), 1u);
    a.reset();
    settle();
    clock.advance(Server::kIdle + 1);
    settle();
    EXPECT_EQ(directory.count(), 0u);
}

}  // namespace
}  // namespace doppel::network::lan
