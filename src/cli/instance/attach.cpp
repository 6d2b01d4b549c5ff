#include "cli/instance/attach.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/console/backends.h"
#include "machine/console/raw_terminal.h"

namespace doppel::cli {
namespace {

constexpr size_t kTypeAhead = 4 << 20;  // bytes that the guest has not taken; the key that detaches is seen behind them
constexpr size_t kOutput = 256 << 10;   // bytes that the terminal has not taken

bool would_block() {
    return errno == EAGAIN || errno == EINTR;
}

// Bytes on their way.
struct Buffer {
    std::vector<uint8_t> bytes;
    size_t at = 0;
    bool empty() const { return at == bytes.size(); }
    size_t size() const { return bytes.size() - at; }
    void add(const uint8_t* from, size_t size) {
        if (empty()) {
            bytes.clear();
            at = 0;
        }
        bytes.insert(bytes.end(), from, from + size);
    }
};

class Attachment {
  public:
    Attachment(UniqueFd console, bool on_terminal)
        : console_(std::move(console)), output_(machine::open_standard_output()), on_terminal_(on_terminal) {
        fcntl(console_.get(), F_SETFL, fcntl(console_.get(), F_GETFL) | O_NONBLOCK);
    }

    Result<Left> run() {
        while (!detached_ && (!ended_ || !shown_.empty())) DOPPEL_CHECK(round());
        return detached_ ? Left::kDetached : Left::kEnded;
    }

  private:
    Result<> round() {
        const bool types = input_open_ && !ended_ && typed_.size() < kTypeAhead;
        const bool reads = !ended_ && shown_.size() < kOutput;
        std::array<pollfd, 3> fds{pollfd{types ? STDIN_FILENO : -1, POLLIN, 0},
                                  pollfd{ended_ ? -1 : console_.get(),
                                         static_cast<short>((reads ? POLLIN : 0) | (typed_.empty() ? 0 : POLLOUT)), 0},
                                  pollfd{shown_.empty() ? -1 : output_.get(), POLLOUT, 0}};
        if (poll(fds.data(), fds.size(), -1) < 0)
            return errno == EINTR ? Result<>() : fail(Error::system("attach", "poll", errno));
        if (fds[0].revents != 0) read_input();
        if ((fds[1].revents & POLLOUT) != 0) send_typed();
        if ((fds[1].revents & ~POLLOUT) != 0 && reads) read_console();
        if (fds[2].revents != 0) return show();
        return {};
    }
    void read_input() {
        std::array<uint8_t, 16 << 10> piece;
        const ssize_t got = read(STDIN_FILENO, piece.data(), piece.size());
        if (got < 0 && would_block()) return;
        if (got <= 0) {
            input_open_ = false;
            detached_ = on_terminal_;  // the terminal is gone
            return;
        }
        const auto end = piece.begin() + got;
        const auto key = on_terminal_ ? std::find(piece.begin(), end, static_cast<uint8_t>(kDetachKey)) : end;
        typed_.add(piece.data(), static_cast<size_t>(key - piece.begin()));
        send_typed();
        detached_ = key != end;
    }
    void send_typed() {
        if (typed_.empty()) return;
        const ssize_t put = send(console_.get(), &typed_.bytes[typed_.at], typed_.size(), MSG_NOSIGNAL);
        if (put > 0) typed_.at += static_cast<size_t>(put);
        if (put < 0 && !would_block()) typed_ = {};  // its end is noticed by the read
    }
    void read_console() {
        std::array<uint8_t, 64 << 10> piece;
        const ssize_t got = read(console_.get(), piece.data(), piece.size());
        if (got < 0 && would_block()) return;
        if (got <= 0)
            ended_ = true;
        else
            shown_.add(piece.data(), static_cast<size_t>(got));
    }
    Result<> show() {
        const ssize_t put = write(output_.get(), &shown_.bytes[shown_.at], shown_.size());
        if (put > 0) shown_.at += static_cast<size_t>(put);
        if (put < 0 && !would_block()) return fail(Error::system("print", "standard output", errno));
        return {};
    }

    UniqueFd console_, output_;
    const bool on_terminal_;
    Buffer typed_, shown_;
    bool input_open_ = true;
    bool ended_ = false;
    bool detached_ = false;
};

}  // namespace

Result<Left> attach(UniqueFd console) {
    const bool on_terminal = isatty(STDIN_FILENO) == 1;
    std::unique_ptr<machine::RawTerminal> raw;
    if (on_terminal) {
        DOPPEL_TRY(raw, machine::RawTerminal::enter(STDIN_FILENO));
    }
    return Attachment(std::move(console), on_terminal).run();
}

}  // namespace doppel::cli
