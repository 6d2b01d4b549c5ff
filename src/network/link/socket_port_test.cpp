#include "network/link/socket_port.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "network/link/message.h"

namespace doppel::network::link {
namespace {

using Bytes = std::vector<uint8_t>;

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

    size_t room = 1000;
    std::vector<Bytes> got;
    std::vector<Offload> offloads;
    int told_sendable = 0;
    bool link = true;
};

class SocketPortTest : public testing::Test {
  protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        other.reset(ends[1]);
        auto made = SocketPort::create(*loop, UniqueFd(ends[0]), {.checksum = true});
        ASSERT_TRUE(made.has_value());
        port = std::move(*made);
        port->attach(&card);
    }
    static Bytes frame(uint8_t fill, size_t bytes = 60) { return Bytes(bytes, fill); }
    void give(const Bytes& bytes, const Offload& offload = {}) {
        const Header header = header_of(offload);
        Bytes message(header.begin(), header.end());
        message.insert(message.end(), bytes.begin(), bytes.end());
        ASSERT_EQ(send(other.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
    }
    // What the other end hears; empty: nothing.
    Bytes heard(Offload* offload = nullptr) {
        Bytes message(kMaxMessage + 1);
        const ssize_t got = recv(other.get(), message.data(), message.size(), MSG_DONTWAIT);
        if (got <= 0) return {};
        message.resize(static_cast<size_t>(got));
        const auto found = frame_of(message);
        if (!found) return {};
        if (offload != nullptr) *offload = found->offload;
        return {found->bytes.begin(), found->bytes.end()};
    }
    void settle() {
        for (int i = 0; i < 50; i++) loop->run_ready();
    }

    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
    Card card;
    UniqueFd other;
    std::unique_ptr<SocketPort> port;
};

TEST_F(SocketPortTest, CarriesFramesBothWaysWithWhatIsLeftToDoToThem) {
    const Offload offload{.needs_checksum = true,
                          .checksum_start = 34,
                          .checksum_offset = 16,
                          .segmentation = Segmentation::kTcp6,
                          .ecn = true,
                          .segment_bytes = 1448,
                          .header_bytes = 66};
    const Bytes large = frame(7, kMaxFrame), small = frame(8, kMinFrame);
    EXPECT_EQ(port->send(std::vector<Frame>{{offload, large}, {{}, small}}), 2u);
    Offload seen;
    EXPECT_EQ(heard(&seen), large);
    EXPECT_EQ(seen, offload);
    EXPECT_EQ(heard(&seen), small);
    EXPECT_EQ(seen, Offload{});
    give(large, offload);
    give(small, {.checksum_right = true});
    settle();
    EXPECT_EQ(card.got, (std::vector<Bytes>{large, small}));
    EXPECT_EQ(card.offloads, (std::vector<Offload>{offload, {.checksum_right = true}}));
}

TEST_F(SocketPortTest, KeepsWhatTheCardHasNoRoomForAndItsOrder) {
    card.room = 3;
    for (uint8_t i = 0; i < 100; i++) give(frame(i));
    settle();
    EXPECT_EQ(card.got.size(), 3u);
    card.room = 40;
    port->resume();
    settle();
    EXPECT_EQ(card.got.size(), 43u);
    card.room = 1000;
    port->resume();
    settle();
    ASSERT_EQ(card.got.size(), 100u);
    for (uint8_t i = 0; i < 100; i++) EXPECT_EQ(card.got[i], frame(i));
}

TEST_F(SocketPortTest, TellsTheCardWhenThereIsRoomAgain) {
    const Bytes large = frame(1, 60'000);
    size_t sent = 0;
    while (port->send(std::vector<Frame>{{{}, large}}) == 1) ASSERT_LT(sent++, 10'000u);
    settle();
    EXPECT_EQ(card.told_sendable, 0);
    for (size_t i = 0; i < sent; i++) EXPECT_EQ(heard(), large);
    settle();
    EXPECT_EQ(card.told_sendable, 1);
    EXPECT_EQ(port->send(std::vector<Frame>{{{}, large}}), 1u);
}

TEST_F(SocketPortTest, LosesWhatIsNoFrame) {
    Header lying = header_of({.needs_checksum = true, .checksum_start = 60, .checksum_offset = 0});
    Bytes message(lying.begin(), lying.end());
    message.resize(kHeaderBytes + 60);
    const Bytes short_one(kHeaderBytes + kMinFrame - 1), wild = [] {
        Bytes bytes(kHeaderBytes + 60);
        bytes[3] = 200;  // no kind of segmentation
        return bytes;
    }();
    for (const Bytes& bytes : {message, short_one, wild, Bytes(1)}) {
        ASSERT_GT(send(other.get(), bytes.data(), bytes.size(), 0), 0);
    }
    give(frame(9));
    settle();
    EXPECT_EQ(card.got, std::vector<Bytes>{frame(9)});
}

TEST_F(SocketPortTest, TheLinkIsDownWhenTheOtherProcessIsGone) {
    give(frame(1));
    other.reset();
    settle();
    EXPECT_EQ(card.got.size(), 1u);
    EXPECT_FALSE(card.link);
    EXPECT_FALSE(port->link_up());
    EXPECT_EQ(port->send(std::vector<Frame>{{{}, frame(2)}}), 1u) << "lost, and nobody waits";
    port->resume();
    settle();
}

TEST_F(SocketPortTest, NobodyIsCalledAfterTheEnd) {
    card.room = 0;
    give(frame(1));
    settle();
    port->resume();
    port.reset();
    card.room = 10;
    settle();
    EXPECT_TRUE(card.got.empty());
}

}  // namespace
}  // namespace doppel::network::link
