#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "machine/console/backends.h"

namespace doppel::machine {
namespace {

class SocketConsole final : public Console {
  public:
    SocketConsole(EventLoop& loop, UniqueFd listener, std::string path)
        : Console(loop), listener_(std::move(listener)), path_(std::move(path)) {
        if (stat(path_.c_str(), &made_) != 0) made_ = {};
    }
    ~SocketConsole() override {
        leave();
        loop().unwatch(listener_.get());
        struct stat now {};
        if (stat(path_.c_str(), &now) == 0 && now.st_dev == made_.st_dev && now.st_ino == made_.st_ino)
            unlink(path_.c_str());
    }

    Result<> listen() {
        return loop().watch(listener_.get(), EPOLLIN, [this](uint32_t) { accept_client(); });
    }
    std::string location() const override { return path_; }

  protected:
    void on_end(int) override { leave(); }
    void on_lost(int) override { leave(); }

  private:
    void accept_client() {
        UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client || attached()) return;  // a second client is turned away
        client_ = std::move(client);
        attach(client_.get(), client_.get());
    }
    void leave() {
        detach();
        client_.reset();
    }

    UniqueFd listener_;
    UniqueFd client_;
    std::string path_;
    struct stat made_ {};
};

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    return address;
}

// A socket that nobody listens on any more is what a killed machine left.
bool is_dead_socket(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = address_of(path);
    return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
           errno == ECONNREFUSED;
}

}  // namespace

Result<std::unique_ptr<Console>> open_socket_console(const std::string& path, EventLoop& loop) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) return fail(Error::system("open console", path, ENAMETOOLONG));
    UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener || fchmod(listener.get(), 0600) != 0) return fail(Error::system("open console", path, errno));
    if (is_dead_socket(path)) unlink(path.c_str());
    const sockaddr_un address = address_of(path);
    if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener.get(), 1) != 0)
        return fail(Error::system("open console", path, errno));
    auto console = std::make_unique<SocketConsole>(loop, std::move(listener), path);
    DOPPEL_CHECK(console->listen());
    return console;
}

}  // namespace doppel::machine
