#include "machine/control/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/unix_socket.h"

namespace doppel::machine::control {

Result<std::unique_ptr<ControlServer>> ControlServer::open(const std::string& path, EventLoop& loop, Target& target,
                                                           sandbox::FileRemover* remover) {
    DOPPEL_TRY(UniqueFd listener, listen_on_unix_socket(path, "open the control socket"));
    if (remover != nullptr) {
        if (auto added = remover->add(path); !added) {
            unlink(path.c_str());
            return fail(added.error());
        }
    }
    std::unique_ptr<ControlServer> server(new ControlServer(loop, target, std::move(listener)));
    server->update_listener();
    return server;
}

ControlServer::~ControlServer() {
    if (listening_) loop_.unwatch(listener_.get());
    for (const auto& client : clients_) loop_.unwatch(client->socket.get());
}

void ControlServer::update_listener() {
    const bool wanted = clients_.size() < kMaxClients;
    if (wanted == listening_) return;
    if (!wanted) {
        loop_.unwatch(listener_.get());
        listening_ = false;
    } else if (loop_.watch(listener_.get(), EPOLLIN, [this](uint32_t) { accept_client(); })) {
        listening_ = true;
    }
}

void ControlServer::accept_client() {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    const int fd = socket.get();
    if (!loop_.watch(fd, EPOLLIN, [this, fd](uint32_t) { read_client(fd); })) return;
    auto client = std::make_unique<Client>();
    client->socket = std::move(socket);
    clients_.push_back(std::move(client));
    update_listener();
}

void ControlServer::leave(int fd) {
    loop_.unwatch(fd);
    std::erase_if(clients_, [fd](const auto& client) { return client->socket.get() == fd; });
    update_listener();
}

void ControlServer::read_client(int fd) {
    const auto found = std::ranges::find_if(clients_, [fd](const auto& one) { return one->socket.get() == fd; });
    if (found == clients_.end()) return;
    Client& client = **found;
    std::array<char, kMaxLine> piece;
    const ssize_t got = receive(client, piece);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return leave(fd);
    client.input.append(piece.data(), static_cast<size_t>(got));
    if (!serve(client)) leave(fd);
}

// False: the client breaks the rules, or reads none of its answers.
bool ControlServer::serve(Client& client) {
    size_t end = 0;
    while ((end = client.input.find('\n')) != client.input.npos) {
        const std::string reply =
            answer(std::string_view(client.input).substr(0, end), std::exchange(client.descriptors, {}));
        client.input.erase(0, end + 1);
        const ssize_t put = ::send(client.socket.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
        if (put != static_cast<ssize_t>(reply.size())) return false;
    }
    return client.input.size() < kMaxLine;
}

// As read(2). What is not kept of the descriptors is closed.
ssize_t ControlServer::receive(Client& client, std::span<char> into) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> room{};
    iovec part{into.data(), into.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = room.data();
    header.msg_controllen = room.size();
    const ssize_t got = recvmsg(client.socket.get(), &header, MSG_CMSG_CLOEXEC);
    if (got < 0) return got;
    for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            UniqueFd taken(fd);
            if (client.descriptors.size() < kMaxDescriptors) client.descriptors.push_back(std::move(taken));
        }
    }
    return got;
}

std::string ControlServer::answer(std::string_view line, std::vector<UniqueFd> descriptors) {
    const auto request = parse_request(line);
    if (!request) return encode(request.error());
    if (const auto done = target_.carry_out(*request, std::move(descriptors)); !done) return encode(done.error());
    return encode(target_.status());
}

}  // namespace doppel::machine::control
