#include "machine/gdb/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "machine/gdb/listener.h"

namespace doppel::machine::gdb {

namespace {

// While more than this waits for a client that does not read, it is not served.
constexpr size_t kMaxOutput = 4 * kMaxPacket;

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const std::string& where, EventLoop& loop, Target& target) {
    DOPPEL_TRY(Listener listener, listen_for_debugger(where));
    std::unique_ptr<Server> server(new Server(loop, target, std::move(listener.fd), std::move(listener.location)));
    DOPPEL_CHECK(
        loop.watch(server->listener_.get(), EPOLLIN, [raw = server.get()](uint32_t) { raw->accept_client(); }));
    return server;
}

Server::Server(EventLoop& loop, Target& target, UniqueFd listener, std::string location)
    : loop_(loop), target_(target), listener_(std::move(listener)), location_(std::move(location)) {}

Server::~Server() {
    if (client_) loop_.unwatch(client_.get());
    loop_.unwatch(listener_.get());
}

void Server::accept_client() {
    UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client || client_) return;
    if (!loop_.watch(client.get(), EPOLLIN, [this](uint32_t events) { client_ready(events); })) return;
    client_ = std::move(client);
    watched_ = EPOLLIN;
    broken_ = false;
    reader_ = {};
    input_.clear();
    output_.clear();
    last_.clear();
    session_ = std::make_unique<Session>(target_, [this](std::string_view payload) { send_packet(payload); });
}

void Server::client_ready(uint32_t events) {
    if (events & EPOLLOUT) flush();
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_some();
    serve();
    if (broken_) return hang_up();
    update_watch();
}

void Server::read_some() {
    std::array<char, kMaxPacket> part;
    ssize_t got = recv(client_.get(), part.data(), part.size(), 0);
    if (got > 0) {
        input_.append(part.data(), static_cast<size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        broken_ = true;
    }
}

void Server::serve() {
    std::string_view rest(input_);
    while (!broken_ && output_.size() <= kMaxOutput && !rest.empty()) {
        if (auto item = reader_.next(rest)) take(*item);
    }
    input_.erase(0, input_.size() - rest.size());
}

void Server::take(const Item& item) {
    switch (item.kind) {
        case Kind::kPacket:
            // Acknowledged before QStartNoAckMode is obeyed, as that packet itself is.
            if (session_->acknowledges()) send_raw("+");
            session_->handle(item.payload);
            break;
        case Kind::kDamaged:
            if (session_->acknowledges()) send_raw("-");
            break;
        case Kind::kNak:
            if (session_->acknowledges()) send_raw(last_);
            break;
        case Kind::kInterrupt:
            session_->interrupt();
            break;
        case Kind::kAck:
            break;
    }
}

void Server::send_packet(std::string_view payload) {
    last_ = frame(payload);
    send_raw(last_);
}

void Server::send_raw(std::string_view bytes) {
    output_ += bytes;
    flush();
}

void Server::flush() {
    while (!output_.empty()) {
        ssize_t sent = send(client_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            broken_ = broken_ || errno != EAGAIN;
            return;
        }
        output_.erase(0, static_cast<size_t>(sent));
    }
}

void Server::update_watch() {
    uint32_t wanted = 0;
    if (output_.size() <= kMaxOutput && input_.empty()) wanted |= EPOLLIN;
    if (!output_.empty()) wanted |= EPOLLOUT;
    if (wanted == watched_) return;
    watched_ = wanted;
    if (!loop_.change(client_.get(), wanted)) hang_up();
}

void Server::hang_up() {
    loop_.unwatch(client_.get());
    client_.reset();
    session_->leave();
    session_.reset();
    if (!target_.running()) {
        std::fprintf(stderr, "doppel: the debugger is gone and the guest is halted; connect to %s again\r\n",
                     location_.c_str());
    }
}

void Server::target_stopped() {
    if (!session_) return;
    session_->target_stopped();
    if (broken_) return hang_up();
    update_watch();
}

void Server::target_ended(int exit_code) {
    if (session_) session_->target_ended(exit_code);
}

}  // namespace doppel::machine::gdb
