#include "instance/keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>

#include "instance/keeper/cgroups.h"

namespace doppel::instance {
namespace {

constexpr int kSignals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
constexpr uint64_t kMilli = 1'000'000;

uint64_t monotonic() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

sigset_t watched_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : kSignals) sigaddset(&set, signal);
    return set;
}

// In the working directory, which is the runtime directory: a path of any length would not fit.
int listen_here(const char* name) {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, name, sizeof address.sun_path - 1);
    unlink(name);
    if (listener < 0 || fchmod(listener, 0600) != 0 ||
        bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, ConsoleHub::kClients) != 0)
        return -1;
    return listener;
}

void stay_open(int fd, bool over_exec) {
    fcntl(fd, F_SETFD, over_exec ? 0 : FD_CLOEXEC);
}

}  // namespace

// What the user's shell had open is none of ours, and nobody's for as long as the machine runs.
void Keeper::close_others() const {
    constexpr int kHighest = 1 << 16;
    const int kept[] = {options_.specification, options_.lock, options_.report, options_.attach, directory_};
    const int last = *std::max_element(std::begin(kept), std::end(kept));
    for (int fd = STDERR_FILENO + 1; fd <= std::min(last, kHighest); fd++)
        if (std::find(std::begin(kept), std::end(kept), fd) == std::end(kept)) close(fd);
    close_range(static_cast<unsigned>(last) + 1, ~0U, 0);
}

bool Keeper::prepare() {
    close_others();
    const sigset_t set = watched_signals();
    sigprocmask(SIG_SETMASK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    for (int fd : {options_.specification, options_.lock, options_.report, options_.attach})
        if (fd >= 0) stay_open(fd, false);
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0 || chdir(options_.runtime) != 0) return false;
    const int listener = listen_here(kConsoleSocket);
    if (listener < 0) return false;
    hub_.set_listener(listener);
    if (options_.attach >= 0) hub_.add_client(options_.attach);
    return true;
}

void Keeper::become_machine(int console, int ready) const {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != record_.keeper) _exit(kNotStarted);  // it was killed before that held
    const int messages = openat(directory_, kMessagesFile, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600);
    dup2(console, STDIN_FILENO);
    dup2(console, STDOUT_FILENO);
    if (messages >= 0) dup2(messages, STDERR_FILENO);
    char path[PATH_MAX];
    if (const char* group = join_cgroups(directory_, path)) {
        dprintf(STDERR_FILENO, "doppel: join the cgroup: %s: %s\n", group, strerror(errno));
        _exit(kNotStarted);
    }
    for (int fd : {options_.specification, options_.lock, ready}) stay_open(fd, true);
    if (messages > STDERR_FILENO) close(messages);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    char specification[16], ready_text[16];
    snprintf(specification, sizeof specification, "%d", options_.specification);
    snprintf(ready_text, sizeof ready_text, "%d", ready);
    execl(options_.machine, options_.machine, "--spec-fd", specification, "--ready-fd", ready_text, nullptr);
    dprintf(STDERR_FILENO, "doppel: start: %s: %s\n", options_.machine, strerror(errno));
    _exit(kNotStarted);
}

bool Keeper::start_machine() {
    int console[2], ready[2];
    lseek(options_.specification, 0, SEEK_SET);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) != 0) return false;
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0) {
        close(console[0]);
        close(console[1]);
        return false;
    }
    began_ = monotonic();
    const pid_t child = fork();
    if (child == 0) become_machine(console[1], ready[1]);
    close(console[1]);
    close(ready[1]);
    if (child < 0) {
        close(console[0]);
        close(ready[0]);
        return false;
    }
    fcntl(console[0], F_SETFL, O_NONBLOCK);
    hub_.set_machine(console[0]);
    ready_ = ready[0];
    machine_ = record_.machine = child;
    record_.started = time_now();
    record_.ended = 0;
    record_.code = -1;
    note(Phase::kStarting);
    return true;
}

void Keeper::note(Phase phase) {
    record_.phase = phase;
    write_record(directory_, record_);
}

void Keeper::tell(const char* event, const char* detail) {
    write_event(options_.events, options_.id, options_.name, event, detail);
}

void Keeper::report(const char* text) {
    if (options_.report < 0) return;
    // Whoever waits may be gone.
    [[maybe_unused]] const ssize_t put = write(options_.report, text, strlen(text));
}

void Keeper::take_ready() {
    char byte = 0;
    const ssize_t got = read(ready_, &byte, 1);
    if (got < 0) return;
    close(ready_);
    ready_ = -1;
    if (got == 0) return;  // its end follows
    note(Phase::kRunning);
    char detail[48];
    snprintf(detail, sizeof detail, ",\"pid\":%d", machine_);
    tell(has_run_ ? "restarted" : "started", detail);
    if (!has_run_) report("started\n");
    has_run_ = true;
}

void Keeper::take_signals() {
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof info) == sizeof info) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGCHLD) {
            reap();
            continue;
        }
        finishing_ = true;
        if (machine_ == 0) over_ = true;
        if (signal == SIGUSR1 || machine_ == 0) continue;
        kill(machine_, signal == SIGQUIT ? SIGKILL : SIGTERM);
    }
}

void Keeper::reap() {
    int status = 0;
    pid_t child;
    // What else was orphaned and came here is waited for, too.
    while ((child = waitpid(-1, &status, WNOHANG)) > 0)
        if (child == machine_) machine_ended(status);
}

bool Keeper::wants_restart(int code) const {
    if (finishing_ || !has_run_) return false;
    return options_.restart == Restart::kAlways || (options_.restart == Restart::kOnFailure && code != 0);
}

void Keeper::machine_ended(int status) {
    constexpr int kSignalBase = 128;
    if (ready_ >= 0) take_ready();
    const int code = WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
    hub_.drain_machine();
    hub_.set_machine(-1);
    machine_ = record_.machine = 0;
    record_.ended = time_now();
    record_.code = code;
    char text[48];
    snprintf(text, sizeof text, ",\"exit_code\":%d", code);
    tell(has_run_ ? "ended" : "failed", text);
    if (!has_run_) {
        snprintf(text, sizeof text, "failed %d\n", code);
        report(text);
    }
    if (wants_restart(code)) {
        const uint64_t now = monotonic();
        restart_at_ = now + backoff_.next(now - began_);
        note(Phase::kRestarting);
    } else {
        over_ = true;
    }
}

int Keeper::time_to_restart() const {
    if (restart_at_ == 0) return -1;
    const uint64_t now = monotonic();
    return now >= restart_at_ ? 0 : static_cast<int>((restart_at_ - now) / kMilli + 1);
}

void Keeper::turn(int timeout) {
    pollfd fds[ConsoleHub::kPolled + 2];
    hub_.prepare(fds);
    fds[ConsoleHub::kPolled] = {signals_, POLLIN, 0};
    fds[ConsoleHub::kPolled + 1] = {ready_, POLLIN, 0};
    if (poll(fds, ConsoleHub::kPolled + 2, timeout) < 0) return;
    hub_.handle(fds);
    if (fds[ConsoleHub::kPolled + 1].revents != 0) take_ready();
    if (fds[ConsoleHub::kPolled].revents != 0) take_signals();
}

void Keeper::see_clients_off() {
    constexpr uint64_t kPatience = 1000 * kMilli;
    const uint64_t end = monotonic() + kPatience;
    while (hub_.pending() && monotonic() < end) turn(20);
}

void Keeper::clean_up() {
    note(Phase::kEnded);
    for (const char* socket : {kConsoleSocket, kControlSocket, kAgentSocket}) unlink(socket);
    rmdir(options_.runtime);
    remove_cgroups(directory_);
}

int Keeper::run() {
    record_.keeper = getpid();
    if (!prepare() || !start_machine()) {
        report("failed 125\n");
        tell("failed");
        clean_up();
        return kNotStarted;
    }
    while (!over_) {
        turn(time_to_restart());
        if (over_ || time_to_restart() != 0) continue;
        restart_at_ = 0;
        record_.restarts++;
        over_ = !start_machine();
    }
    see_clients_off();
    clean_up();
    char code[32];
    snprintf(code, sizeof code, "ended %d\n", record_.code);
    report(code);
    // Without the lock, which is closed by exec: whoever removes the instance takes it.
    if (options_.at_end == nullptr) return record_.code;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execl(options_.at_end, options_.at_end, "reap", options_.id, nullptr);
    return record_.code;
}

}  // namespace doppel::instance
