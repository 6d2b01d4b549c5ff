#include "network/link/socket_port.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/log.h"
#include "network/link/message.h"

namespace doppel::network::link {

Result<std::unique_ptr<SocketPort>> SocketPort::create(EventLoop& loop, UniqueFd socket, const Offloads& accepts) {
    std::unique_ptr<SocketPort> port(new SocketPort(loop, std::move(socket), accepts));
    port->watched_ = EPOLLIN;
    DOPPEL_CHECK(
        loop.watch(port->socket_.get(), EPOLLIN, [made = port.get()](uint32_t events) { made->ready(events); }));
    port->buffer_.resize(kBatch * kMaxMessage);
    return port;
}

SocketPort::~SocketPort() {
    if (socket_) loop_.unwatch(socket_.get());
}

void SocketPort::attach(Receiver* receiver) {
    receiver_ = receiver;
    watch();
}

size_t SocketPort::send(std::span<const Frame> frames) {
    if (!up_.load()) return frames.size();  // lost, as on a wire that is cut
    size_t i = 0;
    while (i < frames.size()) {
        Header header = header_of(frames[i].offload);
        iovec parts[2] = {{header.data(), header.size()},
                          {const_cast<uint8_t*>(frames[i].bytes.data()), frames[i].bytes.size()}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        const bool sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
        if (!sent && errno == EINTR) continue;
        if (!sent && (errno == EAGAIN || errno == ENOBUFS)) {
            full_ = true;
            watch();
            return i;
        }
        i++;  // what fails otherwise is lost; reading finds out when all is
    }
    return frames.size();
}

void SocketPort::resume() {
    if (std::exchange(resumed_, true)) return;
    loop_.post([alive = std::weak_ptr(alive_), this] {
        if (alive.expired()) return;
        resumed_ = false;
        if (deliver()) watch();
    });
}

void SocketPort::ready(uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
        full_ = false;
        watch();
        if (receiver_ != nullptr) receiver_->sendable();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_batch();
}

void SocketPort::read_batch() {
    if (!deliver()) return;
    frames_.clear();
    delivered_ = 0;
    for (size_t i = 0; i < kBatch; i++) {
        uint8_t* at = &buffer_[i * kMaxMessage];
        const ssize_t got = recv(socket_.get(), at, kMaxMessage, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) {
            lose_link();
            break;
        }
        // What is no frame is lost, as on a wire.
        if (const auto frame = frame_of({at, static_cast<size_t>(got)})) frames_.push_back(*frame);
    }
    deliver();
    watch();
}

bool SocketPort::deliver() {
    if (receiver_ == nullptr) delivered_ = frames_.size();
    if (delivered_ < frames_.size()) delivered_ += receiver_->receive(std::span(frames_).subspan(delivered_));
    return delivered_ == frames_.size();
}

void SocketPort::watch() {
    if (!socket_) return;
    const uint32_t wanted = (delivered_ < frames_.size() ? 0 : uint32_t{EPOLLIN}) | (full_ ? uint32_t{EPOLLOUT} : 0);
    if (wanted == watched_) return;
    if (auto changed = loop_.change(socket_.get(), wanted); !changed) {
        log_error("{}", changed.error().message());
        return lose_link();
    }
    watched_ = wanted;
}

void SocketPort::lose_link() {
    if (!up_.exchange(false)) return;
    loop_.unwatch(socket_.get());
    socket_.reset();
    log_warning("network: the process that a card was plugged into is gone; the link is down");
    if (receiver_ != nullptr) receiver_->link_changed(false);
}

}  // namespace doppel::network::link
