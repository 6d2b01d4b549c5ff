#include "machine/vsock_host.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unix_socket.h"

namespace doppel::machine {

Result<std::unique_ptr<VsockHost>> VsockHost::open(const std::string& path, EventLoop& loop,
                                                   std::unique_ptr<sandbox::SocketBroker> broker,
                                                   sandbox::FileRemover& remover) {
    DOPPEL_TRY(UniqueFd listener, listen_on_unix_socket(path, "open vsock"));
    if (auto added = remover.add(path); !added) {
        unlink(path.c_str());
        return fail(added.error());
    }
    std::unique_ptr<VsockHost> host(new VsockHost(loop, std::move(listener), std::move(broker)));
    DOPPEL_CHECK(
        loop.watch(host->listener_.get(), EPOLLIN | EPOLLET, [raw = host.get()](uint32_t) { raw->accept_clients(); }));
    DOPPEL_CHECK(
        loop.watch(host->broker_->descriptor(), EPOLLIN, [raw = host.get()](uint32_t) { raw->take_answers(); }));
    return host;
}

VsockHost::~VsockHost() {
    loop_.unwatch(listener_.get());
    loop_.unwatch(broker_->descriptor());
}

// What cannot be accepted for want of descriptors stays in the queue; it is looked at again later.
void VsockHost::accept_clients() {
    constexpr uint64_t kPause = 100'000'000;  // ns
    while (true) {
        UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (client) {
            if (client_) client_(std::move(client));
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) retry_.arm(loop_.clock().monotonic() + kPause);
            return;
        }
    }
}

void VsockHost::connect(uint32_t port, std::function<void(UniqueFd)> connected) {
    if (broker_->request(port)) {
        dialling_.push_back(std::move(connected));
    } else {
        loop_.post([connected = std::move(connected)] { connected({}); });
    }
}

void VsockHost::take_answers() {
    while (auto answer = broker_->take()) {
        if (dialling_.empty()) continue;
        auto connected = std::move(dialling_.front());
        dialling_.pop_front();
        connected(std::move(answer->socket));
    }
    if (!broker_->gone()) return;
    loop_.unwatch(broker_->descriptor());
    for (auto& connected : std::exchange(dialling_, {})) connected({});
}

}  // namespace doppel::machine
