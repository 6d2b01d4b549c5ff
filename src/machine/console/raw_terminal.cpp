#include "machine/console/raw_terminal.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace doppel::machine {
namespace {

constexpr std::array kFatalSignals{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV,
                                   SIGBUS,  SIGILL, SIGFPE, SIGSYS,  SIGTRAP};

// What the handlers need. Written before `active` is set, read-only while it is.
struct State {
    std::atomic<bool> active{false};  // a RawTerminal exists
    std::atomic<bool> raw{false};     // the terminal is in raw mode now
    int fd = -1;
    termios own{};
    termios changed{};
    std::array<struct sigaction, kFatalSignals.size()> former{};
    struct sigaction former_stop {};
    struct sigaction former_continue {};
};
State state;
static_assert(std::atomic<bool>::is_always_lock_free);

// tcsetattr from a background process raises SIGTTOU, which would stop it.
void set_attributes(const termios& attributes) {
    sigset_t block;
    sigset_t before;
    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    while (tcsetattr(state.fd, TCSANOW, &attributes) != 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// A terminal that is not the process' controlling one has no foreground group to be in: it is the process' own.
bool is_foreground() {
    pid_t owner = tcgetpgrp(state.fd);
    return owner == getpgrp() || (owner < 0 && errno == ENOTTY);
}

// Everything from here to the end of the handlers is async-signal-safe.
void restore() {
    if (state.raw.exchange(false)) set_attributes(state.own);
}

void make_raw() {
    if (!state.raw.exchange(true)) set_attributes(state.changed);
}

void on_fatal_signal(int number) {
    const int saved = errno;
    restore();
    for (size_t i = 0; i < kFatalSignals.size(); i++)
        if (kFatalSignals[i] == number) sigaction(number, &state.former[i], nullptr);
    raise(number);  // blocked until this handler returns; then it takes its former course
    errno = saved;
}

void on_stop(int) {
    const int saved = errno;
    restore();
    raise(SIGSTOP);
    errno = saved;
}

// After SIGSTOP, too, which nothing can catch: the shell has set its own mode meanwhile.
void on_continue(int) {
    const int saved = errno;
    if (state.active && is_foreground()) {
        state.raw = false;
        make_raw();
    }
    errno = saved;
}

void install_handlers() {
    struct sigaction action {};
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    action.sa_handler = on_fatal_signal;
    for (size_t i = 0; i < kFatalSignals.size(); i++) {
        sigaction(kFatalSignals[i], nullptr, &state.former[i]);
        const bool ignored = (state.former[i].sa_flags & SA_SIGINFO) == 0 && state.former[i].sa_handler == SIG_IGN;
        if (!ignored) sigaction(kFatalSignals[i], &action, nullptr);
    }
    action.sa_handler = on_stop;
    sigaction(SIGTSTP, &action, &state.former_stop);
    action.sa_handler = on_continue;
    sigaction(SIGCONT, &action, &state.former_continue);
}

void remove_handlers() {
    for (size_t i = 0; i < kFatalSignals.size(); i++) {
        struct sigaction present {};
        sigaction(kFatalSignals[i], nullptr, &present);
        if (present.sa_handler == on_fatal_signal) sigaction(kFatalSignals[i], &state.former[i], nullptr);
    }
    sigaction(SIGTSTP, &state.former_stop, nullptr);
    sigaction(SIGCONT, &state.former_continue, nullptr);
}

}  // namespace

Result<std::unique_ptr<RawTerminal>> RawTerminal::enter(int fd) {
    if (state.active) return fail(Error{"use the terminal", "console", "it is in use already", ""});
    state.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (state.fd < 0 || tcgetattr(state.fd, &state.own) != 0) {
        const int error = errno;
        if (state.fd >= 0) close(state.fd);
        return fail(Error::system("use the terminal", "console", error));
    }
    state.changed = state.own;
    cfmakeraw(&state.changed);
    state.raw = false;
    state.active = true;
    install_handlers();
    static const int registered = std::atexit(restore);
    (void)registered;
    std::unique_ptr<RawTerminal> terminal(new RawTerminal());
    terminal->in_foreground();
    return terminal;
}

RawTerminal::~RawTerminal() {
    state.active = false;
    restore();
    remove_handlers();
    close(state.fd);
    state.fd = -1;
}

bool RawTerminal::in_foreground() {
    if (!is_foreground()) return false;
    make_raw();
    return true;
}

}  // namespace doppel::machine
