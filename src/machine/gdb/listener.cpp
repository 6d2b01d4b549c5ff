#include "machine/gdb/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>

#include "base/unix_socket.h"

namespace doppel::machine::gdb {

namespace {

constexpr char kPurpose[] = "listen for a debugger";

Result<Listener> listen_on_port(uint16_t port) {
    std::string location = "127.0.0.1:";
    auto failed = [&] { return fail(Error::system(kPurpose, location + std::to_string(port), errno)); };
    Listener listener{UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), {}};
    int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (!listener.fd || setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(listener.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(listener.fd.get(), raw, size) != 0 || listen(listener.fd.get(), 1) != 0 ||
        getsockname(listener.fd.get(), raw, &size) != 0) {
        return failed();
    }
    listener.location = location + std::to_string(ntohs(address.sin_port));
    return listener;
}

}  // namespace

std::optional<uint16_t> debugger_port(const std::string& where) {
    uint16_t port = 0;
    auto [end, problem] = std::from_chars(where.data(), where.data() + where.size(), port);
    if (problem != std::errc() || end != where.data() + where.size()) return std::nullopt;
    return port;
}

Result<Listener> listen_for_debugger(const std::string& where) {
    if (auto port = debugger_port(where)) return listen_on_port(*port);
    DOPPEL_TRY(UniqueFd fd, listen_on_unix_socket(where, kPurpose));
    return Listener{std::move(fd), where};
}

}  // namespace doppel::machine::gdb
