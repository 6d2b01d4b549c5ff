#include "guest/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include <initializer_list>
#include <utility>

#include "guest/system_call.h"

namespace doppel::guest {

namespace {

struct Pipe {
    UniqueFd read, write;
    bool open() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return false;
        read.reset(ends[0]);
        write.reset(ends[1]);
        return true;
    }
};

// What both kinds of children have; the child's ends stay at the parent's side until it has forked.
struct Plumbing {
    Pipe input, output, error;
    UniqueFd terminal;
    char terminal_path[32] = {};
    UniqueFd parent_report, child_report;

    bool open_report() {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
        parent_report.reset(ends[0]);
        child_report.reset(ends[1]);
        return true;
    }
    bool open_pipes() { return input.open() && output.open() && error.open(); }
    bool open_terminal(const agent::TerminalSize& size) {
        terminal.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        winsize window{};
        window.ws_col = size.columns;
        window.ws_row = size.rows;
        return terminal && grantpt(terminal.get()) == 0 && unlockpt(terminal.get()) == 0 &&
               ptsname_r(terminal.get(), terminal_path, sizeof terminal_path) == 0 &&
               ioctl(terminal.get(), TIOCSWINSZ, &window) == 0;
    }
    void take_standard_descriptors() const {
        dup2(input.read.get(), STDIN_FILENO);
        dup2(output.write.get(), STDOUT_FILENO);
        dup2(error.write.get(), STDERR_FILENO);
    }
};

void make_non_blocking(const UniqueFd& fd) {
    if (fd) fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

std::optional<Worker> adopt(pid_t pid, Plumbing& plumbing) {
    Worker worker;
    worker.pid = pid;
    worker.ended.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!worker.ended) {
        const int error = errno;
        kill(pid, SIGKILL);
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        errno = error;
        return std::nullopt;
    }
    worker.terminal = static_cast<bool>(plumbing.terminal);
    if (worker.terminal) {
        worker.input.reset(fcntl(plumbing.terminal.get(), F_DUPFD_CLOEXEC, 0));
        worker.output = std::move(plumbing.terminal);
    } else {
        worker.input = std::move(plumbing.input.write);
        worker.output = std::move(plumbing.output.read);
        worker.error = std::move(plumbing.error.read);
    }
    worker.report = std::move(plumbing.parent_report);
    for (const UniqueFd* fd : {&worker.input, &worker.output, &worker.error, &worker.report}) make_non_blocking(*fd);
    return worker;
}

template <class Request, class Serve>
agent::Outcome serve(const agent::Bytes& payload, Serve function) {
    const auto request = agent::decode<Request>(payload);
    return request ? function(*request) : refusal("the request cannot be read");
}

agent::Outcome run_service(agent::Service service, const agent::Bytes& payload, const Report& report) {
    using agent::Service;
    switch (service) {
        case Service::kPut:
            return serve<agent::PutRequest>(payload, [&](const auto& r) { return put_file(r, report); });
        case Service::kGet:
            return serve<agent::GetRequest>(payload, [&](const auto& r) { return get_file(r, report); });
        case Service::kPower:
            return serve<agent::PowerRequest>(payload, [&](const auto& r) { return change_power(r, report); });
        case Service::kPci:
            return serve<agent::PciRequest>(payload, change_pci);
        case Service::kTime:
            return serve<agent::TimeRequest>(payload, set_time);
        case Service::kIdentity:
            return serve<agent::IdentityRequest>(payload, renew_identity);
        case Service::kStatistics:
            return tell_statistics(report);
        case Service::kExec:
            break;
    }
    return refusal("there is no such service");
}

}  // namespace

void Report::send(agent::FrameType type, const agent::Bytes& payload) const {
    agent::Bytes packet{static_cast<uint8_t>(type)};
    packet.insert(packet.end(), payload.begin(), payload.end());
    while (::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

bool Report::input_is_whole() const {
    uint8_t type = 0;
    ssize_t got = 0;
    do {
        got = recv(fd_, &type, 1, 0);
    } while (got < 0 && errno == EINTR);
    return got == 1 && type == static_cast<uint8_t>(agent::FrameType::kEnd);
}

void Report::wait_until_passed_on() const {
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(fd);  // the result waits for their end
    uint8_t ignored = 0;
    ssize_t got = 0;
    do {
        got = recv(fd_, &ignored, 1, 0);
    } while (got > 0 || (got < 0 && errno == EINTR));
}

std::optional<Worker> start_worker(agent::Service service, const agent::Bytes& request) {
    Plumbing plumbing;
    if (!plumbing.open_report() || !plumbing.open_pipes()) return std::nullopt;
    const pid_t pid = fork();
    if (pid < 0) return std::nullopt;
    if (pid == 0) {
        plumbing.take_standard_descriptors();
        const int report_fd = fcntl(plumbing.child_report.get(), F_DUPFD_CLOEXEC, 3);
        // The other channels' pipes must not stay open in here; their ends would not be seen.
        const int kept = 3;
        if (report_fd != kept) dup3(report_fd, kept, O_CLOEXEC);
        syscall(SYS_close_range, kept + 1, ~0u, 0);
        const Report report(kept);
        const agent::Outcome outcome = run_service(service, request, report);
        report.result(outcome);
        if (service == agent::Service::kPower && outcome.status == agent::Status::kDone) {
            const auto power = agent::decode<agent::PowerRequest>(request);
            report.wait_until_passed_on();
            if (power) power_off_now(power->action);
        }
        _exit(0);
    }
    return adopt(pid, plumbing);
}

std::optional<Worker> start_program(const agent::ExecRequest& request) {
    Plumbing plumbing;
    if (!plumbing.open_report()) return std::nullopt;
    if (request.terminal ? !plumbing.open_terminal(*request.terminal) : !plumbing.open_pipes()) return std::nullopt;
    const pid_t pid = fork();
    if (pid < 0) return std::nullopt;
    if (pid == 0) {
        setsid();
        if (!request.terminal) plumbing.take_standard_descriptors();
        run_program(request, request.terminal ? plumbing.terminal_path : nullptr, Report(plumbing.child_report.get()));
    }
    auto worker = adopt(pid, plumbing);
    if (worker) worker->program = true;
    return worker;
}

}  // namespace doppel::guest
