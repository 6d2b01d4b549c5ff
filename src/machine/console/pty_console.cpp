#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "machine/console/backends.h"

namespace doppel::machine {
namespace {

constexpr uint64_t kLookAgain = 250'000'000;      // nanoseconds; no event tells that somebody opened the other side
constexpr uint64_t kLastReading = 1'000'000'000;  // nanoseconds

class PtyConsole final : public Console {
  public:
    PtyConsole(EventLoop& loop, UniqueFd master, std::string slave)
        : Console(loop), master_(std::move(master)), slave_(std::move(slave)), look_(loop, [this] { look(); }) {}
    ~PtyConsole() override { detach(); }

    std::string location() const override { return slave_; }

    // What the reader has not read when the master closes is lost, and nobody tells when it has: it has some time.
    void finish() override {
        constexpr int kStep = 20;  // milliseconds
        Console::finish();
        const uint64_t end = loop().clock().monotonic() + kLastReading;
        while (attached() && !end_is_pending() && loop().clock().monotonic() < end) {
            pollfd master{master_.get(), 0, 0};
            if (poll(&master, 1, kStep) > 0 && (master.revents & POLLHUP) != 0) return;
        }
    }

  protected:
    void on_connect() override { look(); }
    // EIO: nobody has the other side open any more.
    void on_end(int) override { leave(); }
    void on_lost(int) override { leave(); }

  private:
    void look() {
        pollfd master{master_.get(), POLLOUT, 0};
        if (poll(&master, 1, 0) >= 0 && (master.revents & POLLHUP) == 0)
            attach(master_.get(), master_.get());
        else
            look_.arm(loop().clock().monotonic() + kLookAgain);
    }
    void leave() {
        detach();
        look_.arm(loop().clock().monotonic() + kLookAgain);
    }

    UniqueFd master_;
    std::string slave_;
    EventLoop::Timer look_;
};

// The mode outlives the descriptor; without it the terminal would echo the guest's own output back to the guest.
bool make_slave_raw(const char* path) {
    UniqueFd slave(open(path, O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios mode{};
    if (!slave || tcgetattr(slave.get(), &mode) != 0) return false;
    cfmakeraw(&mode);
    return tcsetattr(slave.get(), TCSANOW, &mode) == 0;
}

}  // namespace

Result<std::unique_ptr<Console>> open_pty_console(EventLoop& loop) {
    UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 128> slave{};
    if (!master || grantpt(master.get()) != 0 || unlockpt(master.get()) != 0 ||
        ptsname_r(master.get(), slave.data(), slave.size()) != 0 || !make_slave_raw(slave.data()))
        return fail(Error::system("open console", "pty", errno));
    return std::make_unique<PtyConsole>(loop, std::move(master), slave.data());
}

}  // namespace doppel::machine
