// The network `user` as its guest sees it, which the test plays, frame by frame.
#include "network/user/nat.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <thread>

#include "network/checksum.h"
#include "network/link/message.h"

namespace doppel::network::user {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr int kPatience = 60;  // seconds
constexpr std::array<uint8_t, 6> kGuestMac{2, 0, 0, 0, 0, 1};
constexpr std::array<uint8_t, 4> kGuest{10, 0, 2, 15}, kGateway{10, 0, 2, 2};

void append(Bytes& to, std::initializer_list<int> bytes) {
    for (int byte : bytes) to.push_back(static_cast<uint8_t>(byte));
}
template <size_t N>
void append(Bytes& to, const std::array<uint8_t, N>& bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

Bytes ethernet(uint16_t type) {
    Bytes frame(6, 0xff);
    append(frame, kGuestMac);
    append(frame, {type >> 8, type & 0xff});
    return frame;
}

// Who has `address`?
Bytes arp_request(const std::array<uint8_t, 4>& address) {
    Bytes frame = ethernet(0x0806);
    append(frame, {0, 1, 8, 0, 6, 4, 0, 1});
    append(frame, kGuestMac);
    append(frame, kGuest);
    append(frame, {0, 0, 0, 0, 0, 0});
    append(frame, address);
    return frame;
}

// With a payload of `bytes`; its own sum is left to whoever takes it.
Bytes ping(size_t bytes) {
    Bytes frame = ethernet(0x0800);
    const size_t length = 20 + 8 + bytes;
    const size_t ip = frame.size();
    append(frame, {0x45, 0, static_cast<int>(length >> 8), static_cast<int>(length & 0xff), 0, 1, 0, 0, 64, 1, 0, 0});
    append(frame, kGuest);
    append(frame, kGateway);
    complete_checksum(std::span(frame).first(ip + 20), static_cast<uint16_t>(ip), 10);
    append(frame, {8, 0, 0, 0, 0x12, 0x34, 0, 1});
    for (size_t i = 0; i < bytes; i++) frame.push_back(static_cast<uint8_t>(i));
    return frame;
}

class NatTest : public testing::Test {
  protected:
    ~NatTest() override {
        link_.reset();
        if (!ended_.valid()) return;
        EXPECT_EQ(ended_.wait_for(std::chrono::seconds(kPatience)), std::future_status::ready);
    }
    Result<> start(const NatOptions& options = {}) {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        link_.reset(ends[0]);
        std::promise<void> ready;
        auto is_ready = ready.get_future();
        ended_ = std::async(std::launch::async, [options, end = ends[1], &ready] {
            return run_nat(options, UniqueFd(end), [&] { ready.set_value(); });
        });
        while (is_ready.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
            if (ended_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) return ended_.get();
        }
        return {};
    }
    void say(const Bytes& frame, const Offload& offload = {}) {
        const link::Header header = link::header_of(offload);
        Bytes message(header.begin(), header.end());
        message.insert(message.end(), frame.begin(), frame.end());
        ASSERT_EQ(send(link_.get(), message.data(), message.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(message.size()));
    }
    // The next frame that `wanted` holds for; empty: none came.
    template <class Wanted>
    Bytes hear(Wanted wanted) {
        Bytes message(link::kMaxMessage);
        pollfd wait{link_.get(), POLLIN, 0};
        while (poll(&wait, 1, kPatience * 1000) == 1) {
            const ssize_t got = recv(link_.get(), message.data(), message.size(), 0);
            if (got <= 0) break;
            const auto frame = link::frame_of({message.data(), static_cast<size_t>(got)});
            if (!frame) continue;
            const Bytes bytes(frame->bytes.begin(), frame->bytes.end());
            if (wanted(bytes)) return bytes;
        }
        return {};
    }
    static bool is(const Bytes& frame, uint16_t type, size_t at, std::initializer_list<uint8_t> bytes) {
        return frame.size() >= at + bytes.size() && frame[12] == type >> 8 && frame[13] == (type & 0xff) &&
               std::equal(bytes.begin(), bytes.end(), frame.begin() + static_cast<ptrdiff_t>(at));
    }
    // The gateway knows the guest then.
    void introduce() {
        say(arp_request(kGateway));
        ASSERT_FALSE(hear([](const Bytes& f) { return is(f, 0x0806, 20, {0, 2}); }).empty()) << "nobody has 10.0.2.2";
    }

    UniqueFd link_;
    std::future<Result<>> ended_;
};

TEST_F(NatTest, HasAGatewayThatAnswersAndCompletesSums) {
    ASSERT_TRUE(start().has_value());
    introduce();
    for (size_t bytes : {size_t{1}, size_t{1000}, size_t{20'000}}) {
        say(ping(bytes), {.needs_checksum = true, .checksum_start = 34, .checksum_offset = 2});
        const Bytes answer = hear([](const Bytes& f) { return is(f, 0x0800, 34, {0, 0}) && f[23] == 1; });
        ASSERT_EQ(answer.size(), 42 + bytes);
        EXPECT_EQ(ones_sum(std::span(answer).subspan(34)), 0xffff);
        EXPECT_EQ(answer[42 + bytes - 1], static_cast<uint8_t>(bytes - 1));
    }
}

TEST_F(NatTest, LeadsAPortOfTheHostIn) {
    // A port that is free now; another process may take it first, and then another one is tried.
    for (int i = 0; i < 20; i++) {
        UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ASSERT_EQ(bind(probe.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
        ASSERT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
        const NatOptions options{.forwards = {{"127.0.0.1", ntohs(address.sin_port), 80, false}}};
        ASSERT_EQ(listen(probe.get(), 1), 0);
        const auto taken = start(options);
        ASSERT_FALSE(taken.has_value()) << "two have one port";
        EXPECT_NE(taken.error().message().find("Address already in use"), std::string::npos);
        probe.reset();
        if (!start(options)) continue;
        introduce();
        const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        connect(client.get(), reinterpret_cast<sockaddr*>(&address), length);
        const Bytes knock = hear([](const Bytes& f) { return is(f, 0x0800, 30, {10, 0, 2, 15}) && f[23] == 6; });
        ASSERT_GE(knock.size(), 54u);
        EXPECT_EQ(knock[36] << 8 | knock[37], 80);
        EXPECT_EQ(knock[47] & 0x3f, 2) << "SYN";
        return;
    }
    FAIL() << "no port stayed free";
}

TEST_F(NatTest, GoesOnAfterNonsense) {
    ASSERT_TRUE(start({.restricted = true}).has_value());  // what comes of it stays here
    uint32_t value = 1;
    for (int i = 0; i < 2000; i++) {
        Bytes frame = i % 3 == 0 ? Bytes() : i % 3 == 1 ? ping(64) : arp_request(kGateway);
        const size_t bytes = kMinFrame + i % 200;
        while (frame.size() < bytes)
            frame.push_back(static_cast<uint8_t>((value = value * 1664525 + 1013904223) >> 24));
        for (int changes = 0; changes < 4; changes++) {
            value = value * 1664525 + 1013904223;
            frame[(value >> 8) % frame.size()] = static_cast<uint8_t>(value >> 24);
        }
        say(frame);
    }
    introduce();
}

TEST_F(NatTest, EndsWithItsLink) {
    ASSERT_TRUE(start().has_value());
    link_.reset();
    ASSERT_EQ(ended_.wait_for(std::chrono::seconds(kPatience)), std::future_status::ready);
    EXPECT_TRUE(ended_.get().has_value());
}

}  // namespace
}  // namespace doppel::network::user
