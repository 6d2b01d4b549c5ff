#include "machine/control/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/unix_socket.h"

namespace doppel::machine::control {
namespace {

constexpr const char* kPurpose = "control the machine";

Result<std::string> read_line(int socket, int patience) {
    std::string line;
    while (line.size() < kMaxLine) {
        pollfd wait{socket, POLLIN, 0};
        const int ready = poll(&wait, 1, patience);
        if (ready == 0) return fail(Error{kPurpose, "the machine", "it does not answer", "try again, or doppel kill"});
        std::array<char, kMaxLine> piece;
        const ssize_t got = ::read(socket, piece.data(), piece.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return fail(Error{kPurpose, "the machine", "it ended", ""});
        line.append(piece.data(), static_cast<size_t>(got));
        if (const size_t end = line.find('\n'); end != line.npos) return line.substr(0, end);
    }
    return fail(Error{kPurpose, "the machine", "its answer has no end", ""});
}

bool send_line(int socket, const std::string& line, int descriptor) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> room{};
    iovec part{const_cast<char*>(line.data()), line.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (descriptor >= 0) {
        header.msg_control = room.data();
        header.msg_controllen = room.size();
        cmsghdr* control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof descriptor);
        std::memcpy(CMSG_DATA(control), &descriptor, sizeof descriptor);
    }
    return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
}

}  // namespace

Result<Status> ask(const std::filesystem::path& path, const Request& request, int patience, int descriptor) {
    if (path.native().size() > kMaxSocketPath) return fail(Error::system(kPurpose, path, ENAMETOOLONG));
    const sockaddr_un address = unix_socket_address(path);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // A blocking connect waits for its turn; the send timeout is what ends it (socket(7)).
    if (patience >= 0) {
        const timeval limit{patience / 1000, patience % 1000 * 1000 + 1};
        setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    if (!socket || connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(Error::system(kPurpose, path, errno == EAGAIN ? ETIMEDOUT : errno));
    const std::string line = encode(request);
    if (!send_line(socket.get(), line, descriptor)) return fail(Error::system(kPurpose, "the machine", errno));
    DOPPEL_TRY(const std::string reply, read_line(socket.get(), patience));
    return parse_answer(reply);
}

}  // namespace doppel::machine::control
