#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "machine/console/backends.h"
#include "machine/console/escape_filter.h"
#include "machine/console/raw_terminal.h"

namespace doppel::machine {
namespace {

constexpr uint64_t kLookAgain =
    250'000'000;                         // nanoseconds; no event tells that the shell has put us into the foreground
constexpr size_t kTypeAhead = 64 << 10;  // bytes; Ctrl-A x must be seen even when the guest takes no input

class StdioConsole final : public Console {
  public:
    StdioConsole(EventLoop& loop, UniqueFd output, std::function<void()> quit)
        : Console(loop), output_(std::move(output)), quit_(std::move(quit)), look_(loop, [this] { look(); }) {}
    ~StdioConsole() override { detach(); }

    Result<> start() {
        if (isatty(STDIN_FILENO) == 1) {
            DOPPEL_TRY(terminal_, RawTerminal::enter(STDIN_FILENO));
        }
        attach(fcntl(STDIN_FILENO, F_GETFD) >= 0 ? STDIN_FILENO : -1, output_.get());
        return {};
    }

    void finish() override {
        Console::finish();
        terminal_.reset();
    }

  protected:
    // A background process that reads from its terminal is stopped by SIGTTIN.
    bool may_read() override {
        if (!terminal_ || terminal_->in_foreground()) return true;
        look_.arm(loop().clock().monotonic() + kLookAgain);
        pause_input(true);
        return false;
    }

    void on_input(std::span<const uint8_t> bytes) override {
        if (!terminal_) return keep(bytes);
        const auto filtered = filter_.filter(bytes);
        keep(filtered.bytes);
        const auto help = escape_help();
        if (filtered.help) enqueue({reinterpret_cast<const uint8_t*>(help.data()), help.size()});
        if (filtered.quit) quit_();
    }

    bool waits_for_reader() const override { return true; }
    size_t input_limit() const override { return terminal_ ? kTypeAhead : Console::input_limit(); }

  private:
    void look() {
        if (terminal_->in_foreground())
            pause_input(false);
        else
            look_.arm(loop().clock().monotonic() + kLookAgain);
    }

    UniqueFd output_;
    std::function<void()> quit_;
    std::unique_ptr<RawTerminal> terminal_;
    EscapeFilter filter_;
    EventLoop::Timer look_;
};

}  // namespace

// O_NONBLOCK belongs to the open file, which is shared with the shell and others, so
// terminals and pipes are opened anew; a file never blocks, and opening it anew would lose its position.
UniqueFd open_standard_output() {
    struct stat status {};
    if (fstat(STDOUT_FILENO, &status) != 0) return {};
    if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode)) {
        UniqueFd anew(open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
        if (anew) return anew;
    }
    // Sockets, and terminals of another user, cannot be opened anew.
    UniqueFd same(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (S_ISSOCK(status.st_mode)) fcntl(same.get(), F_SETFL, fcntl(same.get(), F_GETFL) | O_NONBLOCK);
    return same;
}

Result<std::unique_ptr<Console>> open_stdio_console(EventLoop& loop, std::function<void()> quit) {
    auto console = std::make_unique<StdioConsole>(loop, open_standard_output(), std::move(quit));
    DOPPEL_CHECK(console->start());
    return console;
}

}  // namespace doppel::machine
