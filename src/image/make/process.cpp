#include "image/make/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/unique_fd.h"

namespace doppel::image {

namespace {

constexpr size_t kCaptureLimit = 1 << 20;
constexpr int kFirstPrivateDescriptor = 10;  // above those that the child's are moved to
constexpr int kGraceMilliseconds = 3000;     // for a terminated child to clean up

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Error::system("make pipe", "", errno));
    UniqueFd low_read(ends[0]), low_write(ends[1]);
    Pipe pipe{UniqueFd(::fcntl(ends[0], F_DUPFD_CLOEXEC, kFirstPrivateDescriptor)),
              UniqueFd(::fcntl(ends[1], F_DUPFD_CLOEXEC, kFirstPrivateDescriptor))};
    if (!pipe.read || !pipe.write) return fail(Error::system("make pipe", "", errno));
    return pipe;
}

struct Plumbing {
    Pipe output, diagnostics, status, exec_error;
};

Result<Plumbing> make_plumbing() {
    Plumbing all;
    for (Pipe* pipe : {&all.output, &all.diagnostics, &all.status, &all.exec_error}) {
        DOPPEL_TRY(*pipe, make_pipe());
    }
    return all;
}

// Everything that allocates happens before fork(2); the child calls async-signal-safe functions only.
struct Prepared {
    std::vector<char*> arguments;
    std::vector<std::string> environment_text;
    std::vector<char*> environment;
    const char* directory = nullptr;
    bool with_status = false;
};

Prepared prepare(const Command& command) {
    Prepared prepared;
    for (const auto& argument : command.arguments) prepared.arguments.push_back(const_cast<char*>(argument.c_str()));
    prepared.arguments.push_back(nullptr);
    for (char** entry = environ; *entry; entry++) {
        std::string_view text(*entry);
        bool replaced = false;
        for (const auto& [name, value] : command.environment) {
            replaced |= text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=';
        }
        if (!replaced) prepared.environment_text.emplace_back(text);
    }
    for (const auto& [name, value] : command.environment) {
        prepared.environment_text.emplace_back(name).append("=").append(value);
    }
    for (auto& text : prepared.environment_text) prepared.environment.push_back(text.data());
    prepared.environment.push_back(nullptr);
    if (!command.directory.empty()) prepared.directory = command.directory.c_str();
    prepared.with_status = static_cast<bool>(command.status_line);
    return prepared;
}

[[noreturn]] void become(const Prepared& prepared, const Plumbing& pipes, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    int null = ::open("/dev/null", O_RDWR);
    bool ready = null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(pipes.output.write.get(), STDOUT_FILENO) >= 0 &&
                 ::dup2(pipes.diagnostics.write.get(), STDERR_FILENO) >= 0 &&
                 (!prepared.with_status || ::dup2(pipes.status.write.get(), kStatusDescriptor) >= 0) &&
                 (!prepared.directory || ::chdir(prepared.directory) == 0);
    if (ready) ::execvpe(prepared.arguments[0], prepared.arguments.data(), prepared.environment.data());
    int error = errno;
    [[maybe_unused]] ssize_t written = ::write(pipes.exec_error.write.get(), &error, sizeof error);
    ::_exit(127);
}

// Appends what is there; closes the descriptor at its end.
void drain(UniqueFd& fd, const std::function<void(std::string_view)>& take) {
    std::array<char, 16384> buffer;
    ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got > 0) return take({buffer.data(), static_cast<size_t>(got)});
    if (got < 0 && errno == EINTR) return;
    fd.reset();
}

class LineSplitter {
  public:
    explicit LineSplitter(const std::function<void(std::string_view)>& line) : line_(line) {}
    void operator()(std::string_view text) {
        for (char c : text) {
            if (c == '\n') {
                if (line_) line_(pending_);
                pending_.clear();
            } else if (pending_.size() < 4096) {
                pending_ += c;
            }
        }
    }

  private:
    const std::function<void(std::string_view)>& line_;
    std::string pending_;
};

int exit_code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return exit_code_of(status);
}

void end_group(pid_t child) {
    ::kill(-child, SIGTERM);
    for (int waited = 0; waited < kGraceMilliseconds; waited += 20) {
        // WNOWAIT keeps the group's number taken until the last kill.
        siginfo_t info{};
        if (::waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) break;
        ::poll(nullptr, 0, 20);
    }
    ::kill(-child, SIGKILL);
    wait_for(child);
}

// Reads all pipes until the child has closed them. False: asked to stop.
bool collect(Plumbing& pipes, const Command& command, const StopRequest& stop, Finished& finished) {
    LineSplitter lines(command.status_line), output_lines(command.output_line);
    auto into = [](std::string& text) {
        return [&text](std::string_view part) { text += part.substr(0, kCaptureLimit - text.size()); };
    };
    while (pipes.output.read || pipes.diagnostics.read || pipes.status.read) {
        std::array<pollfd, 4> entries{{{pipes.output.read.get(), POLLIN, 0},
                                       {pipes.diagnostics.read.get(), POLLIN, 0},
                                       {pipes.status.read.get(), POLLIN, 0},
                                       {stop.fd(), POLLIN, 0}}};
        if (::poll(entries.data(), entries.size(), -1) < 0) continue;
        if (entries[3].revents) return false;
        if (entries[0].revents) {
            drain(pipes.output.read, [&](std::string_view text) {
                into(finished.output)(text);
                output_lines(text);
            });
        }
        if (entries[1].revents) drain(pipes.diagnostics.read, into(finished.diagnostics));
        if (entries[2].revents) drain(pipes.status.read, [&](std::string_view text) { lines(text); });
    }
    return true;
}

}  // namespace

Result<Finished> run(const Command& command, const StopRequest& stop) {
    const std::string& program = command.arguments.at(0);
    DOPPEL_TRY(Plumbing pipes, make_plumbing());
    Prepared prepared = prepare(command);
    pid_t parent = ::getpid();
    pid_t child = ::fork();
    if (child < 0) return fail(Error::system("run", program, errno));
    if (child == 0) become(prepared, pipes, parent);
    ::setpgid(child, child);  // whoever is first: a stop request may come before the child runs
    for (Pipe* pipe : {&pipes.output, &pipes.diagnostics, &pipes.status, &pipes.exec_error}) pipe->write.reset();

    int exec_error = 0;
    if (::read(pipes.exec_error.read.get(), &exec_error, sizeof exec_error) == sizeof exec_error) {
        wait_for(child);
        Error error = Error::system("run", program, exec_error);
        if (exec_error == ENOENT) error.cure = "install it; doppel makes images with the tools of Debian";
        return fail(std::move(error));
    }
    Finished finished;
    if (!collect(pipes, command, stop, finished)) {
        end_group(child);
        return fail(StopRequest::error(program));
    }
    finished.exit_code = wait_for(child);
    return finished;
}

}  // namespace doppel::image
