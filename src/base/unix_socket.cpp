#include "base/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace doppel {

namespace {

constexpr int kBacklog = 64;

static_assert(kMaxSocketPath + 1 == sizeof(sockaddr_un::sun_path));

bool is_dead_socket(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = unix_socket_address(path);
    return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
           errno == ECONNREFUSED;
}

}  // namespace

sockaddr_un unix_socket_address(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), std::min(path.native().size(), kMaxSocketPath));
    return address;
}

Result<UniqueFd> listen_on_unix_socket(const std::filesystem::path& path, std::string_view purpose, int kind) {
    const std::string& name = path.native();
    auto failed = [&](int error) { return fail(Error::system(std::string(purpose), name, error)); };
    if (name.size() > kMaxSocketPath) return failed(ENAMETOOLONG);
    UniqueFd listener(socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The file takes the mode of the socket when it is made: it is never open to others, not even for a moment.
    if (!listener || fchmod(listener.get(), 0600) != 0) return failed(errno);
    if (is_dead_socket(name)) unlink(name.c_str());
    const sockaddr_un address = unix_socket_address(name);
    if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener.get(), kind == SOCK_STREAM ? 1 : kBacklog) != 0) {
        return failed(errno);
    }
    return listener;
}

}  // namespace doppel
