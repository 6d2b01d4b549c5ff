// A host for tests of the vsock device: its sockets are pairs, whose other ends the test holds.
#pragma once

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <utility>

#include "device/virtio/vsock/host.h"

namespace doppel::device::virtio::vsock {

// (the device's, the test's)
inline std::pair<UniqueFd, UniqueFd> socket_pair() {
    std::array<int, 2> ends{-1, -1};
    (void)::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data());
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Whether this process, which has both ends of each connection, may have so many descriptors.
inline bool may_open(rlim_t descriptors) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < descriptors) return false;
    limit.rlim_cur = std::max(limit.rlim_cur, descriptors);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

class FakeHost final : public Host {
  public:
    struct Dialled {
        uint32_t port;
        std::function<void(UniqueFd)> connected;
    };
    void connect(uint32_t port, std::function<void(UniqueFd)> connected) override {
        dialled.push_back({port, std::move(connected)});
    }
    void listen(std::function<void(UniqueFd)> client) override { client_ = std::move(client); }

    // The oldest dial that is out succeeds; the test's end. None when there is no dial.
    UniqueFd answer() {
        if (dialled.empty()) return {};
        auto [ours, theirs] = socket_pair();
        take().connected(std::move(ours));
        return std::move(theirs);
    }
    void refuse() {
        if (!dialled.empty()) take().connected({});
    }
    UniqueFd come() {
        auto [ours, theirs] = socket_pair();
        client_(std::move(ours));
        return std::move(theirs);
    }

    std::deque<Dialled> dialled;

  private:
    Dialled take() {
        Dialled first = std::move(dialled.front());
        dialled.pop_front();
        return first;
    }
    std::function<void(UniqueFd)> client_;
};

}  // namespace doppel::device::virtio::vsock
