#include "guest/system_call.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <vector>

namespace doppel::guest {

std::string read_text(const char* path, size_t limit) {
    UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::string text;
    char piece[4096];
    while (fd && text.size() < limit) {
        const ssize_t got = read(fd.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(piece, static_cast<size_t>(got));
    }
    return text;
}

bool write_all(int fd, std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t put = write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return true;
}

bool write_to(const char* path, std::string_view text) {
    UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
    return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool replace_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string beside = path + ".doppel-new";
    unlink(beside.c_str());
    UniqueFd fd(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd && write_all(fd.get(), content) && fchmod(fd.get(), mode) == 0 && fsync(fd.get()) == 0 &&
        rename(beside.c_str(), path.c_str()) == 0) {
        return true;
    }
    const int error = errno;
    if (fd) unlink(beside.c_str());
    errno = error;
    return false;
}

int run(std::initializer_list<const char*> arguments) {
    constexpr int kCannotRun = 127, kSignalled = 128;
    const pid_t pid = fork();
    if (pid < 0) return kCannotRun;
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        signal(SIGPIPE, SIG_DFL);
        const int nowhere = open("/dev/null", O_RDWR);
        for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, fd);
        const char* path = getenv("PATH");
        setenv("PATH", (std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin").c_str(), 1);
        std::vector<char*> list;
        for (const char* argument : arguments) list.push_back(const_cast<char*>(argument));
        list.push_back(nullptr);
        execvp(list[0], list.data());
        _exit(kCannotRun);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return kCannotRun;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

agent::Outcome failure(std::string why, int error) {
    agent::Outcome outcome;
    outcome.status = agent::Status::kFailed;
    outcome.error = static_cast<uint32_t>(error);
    outcome.why = std::move(why);
    return outcome;
}

agent::Outcome refusal(std::string why) {
    agent::Outcome outcome = failure(std::move(why), EINVAL);
    outcome.status = agent::Status::kRefused;
    return outcome;
}

}  // namespace doppel::guest
