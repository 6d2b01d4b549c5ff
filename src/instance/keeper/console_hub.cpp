#include "instance/keeper/console_hub.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "instance/keeper/rotating_log.h"

namespace doppel::instance {
namespace {

constexpr short kBroken = POLLHUP | POLLERR | POLLNVAL;

bool would_block() {
    return errno == EAGAIN || errno == EINTR;
}

}  // namespace

ConsoleHub::~ConsoleHub() {
    set_machine(-1);
    for (Client& client : clients_) leave(client);
    if (listener_ >= 0) close(listener_);
}

void ConsoleHub::set_machine(int socket) {
    if (machine_ >= 0) close(machine_);
    machine_ = socket;
    input_at_ = input_size_ = 0;
}

void ConsoleHub::add_client(int socket) {
    for (Client& client : clients_) {
        if (client.socket >= 0) continue;
        fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
        client.socket = socket;
        return;
    }
    close(socket);
}

void ConsoleHub::leave(Client& client) {
    if (client.socket >= 0) close(client.socket);
    free(client.bytes);
    client = {};
}

void ConsoleHub::prepare(pollfd* fds) const {
    const bool room = input_size_ == 0;
    fds[0] = {listener_, POLLIN, 0};
    fds[1] = {machine_, static_cast<short>(POLLIN | (room ? 0 : POLLOUT)), 0};
    for (int i = 0; i < kClients; i++) {
        const Client& client = clients_[i];
        fds[2 + i] = {client.socket, static_cast<short>((room ? POLLIN : 0) | (client.size > 0 ? POLLOUT : 0)), 0};
    }
}

void ConsoleHub::handle(const pollfd* fds) {
    if ((fds[1].revents & POLLOUT) != 0) write_machine();
    if ((fds[1].revents & (POLLIN | kBroken)) != 0) read_machine();
    for (int i = 0; i < kClients; i++) {
        Client& client = clients_[i];
        const short seen = fds[2 + i].revents;
        if (client.socket < 0 || client.socket != fds[2 + i].fd) continue;
        if ((seen & POLLOUT) != 0) flush(client);
        if (client.socket >= 0 && (seen & (POLLIN | kBroken)) != 0) read_client(client);
    }
    if ((fds[0].revents & POLLIN) != 0) accept_client();
}

void ConsoleHub::accept_client() {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) add_client(socket);
}

bool ConsoleHub::read_machine() {
    uint8_t piece[16 << 10];
    const ssize_t got = machine_ < 0 ? 0 : read(machine_, piece, sizeof piece);
    if (got < 0 && errno == EINTR) return true;
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
        set_machine(-1);
        return false;
    }
    log_.write(piece, static_cast<size_t>(got));
    for (Client& client : clients_)
        if (client.socket >= 0) send(client, piece, static_cast<size_t>(got));
    return true;
}

void ConsoleHub::drain_machine() {
    while (machine_ >= 0 && read_machine()) {
    }
}

void ConsoleHub::write_machine() {
    if (machine_ < 0) return;
    const ssize_t put = ::send(machine_, input_ + input_at_, input_size_, MSG_NOSIGNAL);
    if (put < 0 && would_block()) return;
    if (put < 0) {
        input_at_ = input_size_ = 0;  // its end is noticed by the read
        return;
    }
    input_at_ += static_cast<size_t>(put);
    input_size_ -= static_cast<size_t>(put);
    if (input_size_ == 0) input_at_ = 0;
}

void ConsoleHub::read_client(Client& client) {
    if (input_size_ > 0) return;  // of another client, in this same round
    const ssize_t got = read(client.socket, input_, sizeof input_);
    if (got < 0 && would_block()) return;
    if (got <= 0) return leave(client);
    if (machine_ < 0) return;
    input_at_ = 0;
    input_size_ = static_cast<size_t>(got);
    write_machine();
}

void ConsoleHub::send(Client& client, const uint8_t* bytes, size_t size) {
    if (client.size == 0) {
        const ssize_t put = ::send(client.socket, bytes, size, MSG_NOSIGNAL);
        if (put < 0 && !would_block()) return leave(client);
        if (put > 0) {
            bytes += put;
            size -= static_cast<size_t>(put);
        }
    }
    if (size > 0) keep(client, bytes, size);
}

bool ConsoleHub::keep(Client& client, const uint8_t* bytes, size_t size) {
    if (client.size + size > kClientRoom) return false;
    if (client.at > 0) {
        memmove(client.bytes, client.bytes + client.at, client.size);
        client.at = 0;
    }
    if (client.size + size > client.room) {
        const size_t room = std::min(kClientRoom, std::max(client.room * 2, client.size + size));
        auto* larger = static_cast<uint8_t*>(realloc(client.bytes, room));
        if (larger == nullptr) return false;
        client.bytes = larger;
        client.room = room;
    }
    memcpy(client.bytes + client.size, bytes, size);
    client.size += size;
    return true;
}

void ConsoleHub::flush(Client& client) {
    const ssize_t put = ::send(client.socket, client.bytes + client.at, client.size, MSG_NOSIGNAL);
    if (put < 0 && would_block()) return;
    if (put < 0) return leave(client);
    client.at += static_cast<size_t>(put);
    client.size -= static_cast<size_t>(put);
    if (client.size > 0) return;
    free(client.bytes);
    client.bytes = nullptr;
    client.at = client.room = 0;
}

bool ConsoleHub::pending() const {
    return std::any_of(clients_, clients_ + kClients, [](const Client& client) { return client.size > 0; });
}

}  // namespace doppel::instance
