#include "machine/sandbox/socket_broker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "base/unix_socket.h"

namespace doppel::machine::sandbox {
namespace {

// A path in its own memory: the other process makes none.
struct Beside {
    sockaddr_un address;
    size_t length;  // of the path without its port
};

// At once or not at all: a listener whose queue is full is as good as none.
UniqueFd connect_beside(const Beside& beside, uint32_t port) {
    sockaddr_un address = beside.address;
    char* at = address.sun_path + beside.length;
    *at++ = '_';
    *std::to_chars(at, std::end(address.sun_path) - 1, port).ptr = '\0';
    UniqueFd made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) made.reset();
    return made;
}

// A message with a descriptor or without one.
struct Message {
    explicit Message(uint32_t& port) : part{&port, sizeof port} {
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    void make_room() {
        header.msg_control = room.data();
        header.msg_controllen = room.size();
    }
    void attach(int fd) {
        make_room();
        cmsghdr* control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(control), &fd, sizeof fd);
    }
    UniqueFd detach() {
        const cmsghdr* control = CMSG_FIRSTHDR(&header);
        int fd = -1;
        if (control != nullptr && control->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(control), sizeof fd);
        return UniqueFd(fd);
    }
    iovec part;
    msghdr header{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
};

// The other process: signals and descriptors of the machine are none of its business. It keeps the working directory,
// from which a path may count.
[[noreturn]] void serve(int link, const Beside& beside) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    setsid();
    prctl(PR_SET_NAME, "doppel-broker");
    if (dup2(link, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) != 0) _exit(1);
    while (true) {
        uint32_t port = 0;
        const ssize_t got = read(STDIN_FILENO, &port, sizeof port);
        if (got < 0 && errno == EINTR) continue;
        if (got != sizeof port) _exit(0);
        const UniqueFd connected = connect_beside(beside, port);
        Message message(port);
        if (connected) message.attach(connected.get());
        if (sendmsg(STDIN_FILENO, &message.header, MSG_NOSIGNAL) < 0) _exit(0);
    }
}

}  // namespace

Result<std::unique_ptr<SocketBroker>> SocketBroker::start(const std::filesystem::path& path) {
    const auto failed = [&](int error) { return fail(Error::system("prepare sockets", path.string(), error)); };
    const Beside beside{unix_socket_address(path), path.native().size()};
    if (beside.length > kMaxSocketPath - kSuffix) return failed(ENAMETOOLONG);
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed(errno);
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    const pid_t child = fork();
    if (child < 0) return failed(errno);
    if (child == 0) serve(its.get(), beside);
    return std::unique_ptr<SocketBroker>(new SocketBroker(std::move(ours)));
}

bool SocketBroker::request(uint32_t port) {
    return send(link_.get(), &port, sizeof port, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof port;
}

std::optional<SocketBroker::Answer> SocketBroker::take() {
    uint32_t port = 0;
    Message message(port);
    message.make_room();
    ssize_t got = 0;
    do {
        got = recvmsg(link_.get(), &message.header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got == sizeof port) return Answer{port, message.detach()};
    gone_ = got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return std::nullopt;
}

}  // namespace doppel::machine::sandbox
