#include "machine/sandbox/socket_broker.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/instrumented.h"
#include "base/temporary_folder.h"
#include "base/unix_socket.h"
#include "machine/sandbox/confined_child.h"

namespace doppel::machine::sandbox {
namespace {

SocketBroker::Answer wait_for(SocketBroker& broker) {
    while (true) {
        if (auto answer = broker.take()) return std::move(*answer);
        if (broker.gone()) return {0, {}};
        pollfd ready{broker.descriptor(), POLLIN, 0};
        (void)poll(&ready, 1, -1);
    }
}

bool talks(const UniqueFd& socket, const UniqueFd& listener) {
    const UniqueFd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char heard = 0;
    return peer && send(socket.get(), "x", 1, MSG_NOSIGNAL) == 1 && recv(peer.get(), &heard, 1, 0) == 1 && heard == 'x';
}

TEST(SocketBroker, ConnectsToTheSocketOfAPort) {
    TemporaryFolder folder;
    auto broker = SocketBroker::start(folder / "vsock");
    ASSERT_TRUE(broker);
    auto listener = listen_on_unix_socket(folder / "vsock_4294967295", "test");
    ASSERT_TRUE(listener);
    ASSERT_TRUE((*broker)->request(~0U));
    auto answer = wait_for(**broker);
    EXPECT_EQ(answer.port, ~0U);
    ASSERT_TRUE(answer.socket);
    EXPECT_TRUE(talks(answer.socket, *listener));
    EXPECT_FALSE((*broker)->take());
    EXPECT_FALSE((*broker)->gone());
}

TEST(SocketBroker, SaysThatNobodyListensAndGoesOn) {
    TemporaryFolder folder;
    auto broker = SocketBroker::start(folder / "vsock");
    ASSERT_TRUE(broker);
    ASSERT_TRUE((*broker)->request(1) && (*broker)->request(2));
    for (uint32_t port : {1u, 2u}) {
        auto answer = wait_for(**broker);
        EXPECT_EQ(answer.port, port);
        EXPECT_FALSE(answer.socket);
    }
    auto listener = listen_on_unix_socket(folder / "vsock_2", "test");
    ASSERT_TRUE((*broker)->request(2));
    EXPECT_TRUE(wait_for(**broker).socket);
}

TEST(SocketBroker, EndsWhenItHearsAnythingButAPort) {
    TemporaryFolder folder;
    auto broker = SocketBroker::start(folder / "vsock");
    ASSERT_TRUE(broker);
    ASSERT_EQ(send((*broker)->descriptor(), "a path", 6, 0), 6);
    // Six bytes hold a port; the rest of the message is dropped with it.
    auto answer = wait_for(**broker);
    EXPECT_FALSE(answer.socket);
    ASSERT_EQ(send((*broker)->descriptor(), "x", 1, 0), 1);
    EXPECT_FALSE(wait_for(**broker).socket);
    EXPECT_TRUE((*broker)->gone());
    EXPECT_FALSE((*broker)->request(1));
}

TEST(SocketBroker, RefusesAPathThatLeavesNoRoomForAPort) {
    EXPECT_FALSE(SocketBroker::start(std::string(kMaxSocketPath - SocketBroker::kSuffix + 1, 'x')));
}

TEST(SocketBroker, ServesAConfinedProcessThatCanConnectNowhereElse) {
    TemporaryFolder folder;
    auto broker = SocketBroker::start(folder / "vsock");
    auto other = listen_on_unix_socket(folder / "other", "test");
    auto listener = listen_on_unix_socket(folder / "vsock_80", "test");
    ASSERT_TRUE(broker && other && listener);
    testing::Walls walls;
    walls.permissions.accept_connections = true;
    walls.permissions.receive_descriptors = true;
    auto served = testing::attempt_confined(walls, [&] {
        if (!(*broker)->request(80)) return 1;
        return wait_for(**broker).socket ? 0 : 2;
    });
    EXPECT_EQ(served.signal, 0) << served.said;
    EXPECT_EQ(served.code, 0);
    if (kInstrumented) GTEST_SKIP() << "sanitizers need gaps in the filter";
    auto made = testing::attempt_confined(walls, [] { return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 3; });
    EXPECT_EQ(made.signal, SIGSYS);
    // Not with a socket that it holds already either.
    const UniqueFd held(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder / "other").native().copy(address.sun_path, sizeof address.sun_path - 1);
    auto connected = testing::attempt_confined(walls, [&] {
        return connect(held.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : 3;
    });
    EXPECT_EQ(connected.signal, SIGSYS);
}

}  // namespace
}  // namespace doppel::machine::sandbox
