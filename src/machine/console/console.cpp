#include "machine/console/console.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "machine/console/backends.h"

namespace doppel::machine {
namespace {

constexpr size_t kPiece = 64 << 10;      // of output in one write
constexpr uint64_t kGather = 1'000'000;  // nanoseconds; nobody sees a character come that much later
constexpr int kRounds = 16;              // pieces before the loop's other work has its turn

}  // namespace

Result<std::unique_ptr<Console>> Console::open(const ConsoleChoice& choice, EventLoop& loop, std::function<void()> quit,
                                               sandbox::FileRemover* remover) {
    signal(SIGPIPE, SIG_IGN);  // a reader that goes away must not take the machine with it
    switch (choice.kind) {
        case ConsoleKind::kStdio:
            return open_stdio_console(loop, std::move(quit));
        case ConsoleKind::kFile:
            return open_file_console(choice.path, loop);
        case ConsoleKind::kPty:
            return open_pty_console(loop);
        case ConsoleKind::kSocket:
            return open_socket_console(choice.path, loop, remover);
        case ConsoleKind::kNone:
            break;
    }
    return make_null_console(loop);
}

Console::Console(EventLoop& loop) : loop_(loop), gather_(loop, [this] { drain(); }) {}

Console::~Console() {
    detach();
}

void Console::connect(device::CharacterDevice& device) {
    device_ = &device;
    on_connect();
    update();
}

void Console::write(std::span<const uint8_t> bytes) {
    {
        std::unique_lock guard(lock_);
        if (queued_locked() >= kHighWater)
            room_.wait_for(guard, std::chrono::milliseconds(kPatience),
                           [&] { return discarding_ || queued_locked() < kHighWater; });
    }
    enqueue(bytes);
}

void Console::enqueue(std::span<const uint8_t> bytes) {
    {
        std::lock_guard guard(lock_);
        if (discarding_ || queued_locked() + bytes.size() > kLimit) return;
        queue_.insert(queue_.end(), bytes.begin(), bytes.end());
        if (std::exchange(drain_posted_, true)) return;
    }
    loop_.post([this] { drain(); });
}

void Console::room_again() {
    loop_.post([this] {
        deliver();
        update();
    });
}

void Console::attach(int in, int out) {
    detach();
    in_ = in;
    out_ = out;
    in_unwatchable_ = false;
    if (out_ >= 0) take_output();
    update();
}

void Console::detach() {
    set_watch(in_watch_, -1, 0);
    set_watch(out_watch_, -1, 0);
    in_ = -1;
    out_ = -1;
    discard_output();
}

void Console::take_output() {
    std::lock_guard guard(lock_);
    discarding_ = false;
}

void Console::discard_output() {
    std::lock_guard guard(lock_);
    discarding_ = true;
    queue_.clear();
    writing_.clear();
    written_ = 0;
    writing_size_ = 0;
    drain_posted_ = false;
    out_blocked_ = false;
    room_.notify_all();
}

void Console::stop_input() {
    if (in_ == out_) return;  // one descriptor for both: its owner detaches
    in_ = -1;
}

void Console::pause_input(bool paused) {
    paused_ = paused;
    update();
}

void Console::keep(std::span<const uint8_t> bytes) {
    kept_.insert(kept_.end(), bytes.begin(), bytes.end());
    deliver();
}

void Console::deliver() {
    while (!kept_.empty()) {
        const size_t taken = std::min(device_->receive(kept_), kept_.size());
        kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(taken));
        if (taken == 0) return;  // refused: room_again() follows
    }
}

void Console::read_some() {
    if (in_ < 0 || !may_read()) return;
    std::array<uint8_t, 4096> piece;
    const ssize_t got = ::read(in_, piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got > 0)
        on_input({piece.data(), static_cast<size_t>(got)});
    else
        on_end(got == 0 ? 0 : errno);
    update();
}

// A serial port sends byte by byte. Whatever follows a write within kGather goes out together; a byte after a pause
// goes at once.
void Console::drain() {
    bool wrote = false;
    for (int round = 0; round < kRounds; round++) {
        if (written_ == writing_.size()) {
            std::lock_guard guard(lock_);
            writing_.clear();
            writing_.swap(queue_);
            written_ = 0;
            writing_size_ = writing_.size();
            if (writing_.empty()) {
                drain_posted_ = wrote;
                if (wrote) gather_.arm(loop_.clock().monotonic() + kGather);
                return;
            }
        }
        if (!write_some()) return;
        wrote = true;
    }
    loop_.post([this] { drain(); });
}

bool Console::write_some() {
    if (out_ < 0) return false;
    const ssize_t put = ::write(out_, writing_.data() + written_, std::min(writing_.size() - written_, kPiece));
    if (put >= 0) {
        written_ += static_cast<size_t>(put);
        std::lock_guard guard(lock_);
        writing_size_ = writing_.size() - written_;
        room_.notify_all();
        return true;
    }
    if (errno == EINTR) return true;
    if (errno == EAGAIN)
        out_blocked_ = true;
    else
        on_lost(errno);
    update();
    return false;
}

void Console::ready(bool input, uint32_t events) {
    constexpr uint32_t kBroken = EPOLLHUP | EPOLLERR;
    const int fd = input ? in_ : out_;
    if (fd == out_ && out_blocked_ && (events & (EPOLLOUT | kBroken)) != 0) {
        out_blocked_ = false;
        drain();
    }
    if (input && fd == in_ && (events & (EPOLLIN | kBroken)) != 0) read_some();
    update();
}

void Console::update() {
    const bool read = in_ >= 0 && device_ != nullptr && !paused_ && kept_.size() < input_limit();
    const uint32_t in = read ? uint32_t{EPOLLIN} : 0;
    const uint32_t out = out_ >= 0 && out_blocked_ ? uint32_t{EPOLLOUT} : 0;
    if (in_ == out_) {
        set_watch(in_watch_, in_, in | out);
    } else {
        set_watch(in_watch_, in_, in_unwatchable_ ? 0 : in);
        set_watch(out_watch_, out_, out);
    }
    if (!read || !in_unwatchable_ || std::exchange(read_posted_, true)) return;
    loop_.post([this] {
        read_posted_ = false;
        if (!paused_ && kept_.size() < input_limit()) read_some();
    });
}

void Console::set_watch(Watch& watch, int fd, uint32_t events) {
    if (watch.fd >= 0 && (watch.fd != fd || events == 0)) {
        loop_.unwatch(watch.fd);
        watch = {};
    }
    if (events == 0 || events == watch.events) return;
    if (watch.fd >= 0) {
        if (loop_.change(fd, events)) watch.events = events;
        return;
    }
    const bool input = &watch == &in_watch_;
    if (loop_.watch(fd, events, [this, input](uint32_t seen) { ready(input, seen); })) {
        watch = {fd, events};
    } else if (input) {
        in_unwatchable_ = true;  // epoll takes no regular files, which are always ready
    }
}

bool Console::end_is_pending() {
    sigset_t pending;
    if (sigpending(&pending) != 0) return false;
    const std::array ending{SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    return std::ranges::any_of(ending, [&](int number) { return sigismember(&pending, number) == 1; });
}

void Console::finish() {
    constexpr int kStep = 100;       // milliseconds
    constexpr int kStuckSteps = 10;  // without progress, where nobody waits for the reader
    int stuck = 0;
    while (out_ >= 0 && !end_is_pending() && (waits_for_reader() || stuck < kStuckSteps)) {
        out_blocked_ = false;
        drain();
        std::unique_lock guard(lock_);
        if (discarding_ || queued_locked() == 0) return;
        guard.unlock();
        if (!out_blocked_) continue;
        pollfd reader{out_, POLLOUT, 0};
        stuck = poll(&reader, 1, kStep) > 0 ? 0 : stuck + 1;
    }
}

}  // namespace doppel::machine
