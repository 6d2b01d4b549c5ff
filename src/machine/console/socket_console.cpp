#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "machine/console/backends.h"

namespace doppel::machine {
namespace {

class SocketConsole final : public Console {
  public:
    SocketConsole(EventLoop& loop, UniqueFd listener, std::string path)
        : Console(loop), listener_(std::move(listener)), path_(std::move(path)) {}
    ~SocketConsole() override {
        leave();
        loop().unwatch(listener_.get());
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
};

}  // namespace

Result<std::unique_ptr<Console>> open_socket_console(const std::string& path, EventLoop& loop,
                                                     sandbox::FileRemover* remover) {
    DOPPEL_TRY(UniqueFd listener, listen_on_unix_socket(path, "open console"));
    if (remover != nullptr) {
        if (auto added = remover->add(path); !added) {
            unlink(path.c_str());
            return fail(added.error());
        }
    }
    auto console = std::make_unique<SocketConsole>(loop, std::move(listener), path);
    DOPPEL_CHECK(console->listen());
    return console;
}

}  // namespace doppel::machine
