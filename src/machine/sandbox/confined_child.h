// For tests: a process of its own that is confined as a machine is, with a second thread that then tries something.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox::testing {

struct Outcome {
    int signal = 0;    // that ended the process
    int code = 0;      // or its exit code
    std::string said;  // on stderr
};

// How the child confines itself; its threads start where the machine's do.
struct Walls {
    bool files = true;
    bool calls = true;
    Permissions permissions;
    std::optional<int> folder = std::nullopt;
    std::vector<SharedFolder> shared = {};
    Network network = Network::kTaken;  // beside shared folders
};

inline constexpr int kNotConfined = 99;

// `attempt` runs on the child's second thread and returns the child's exit code.
inline Outcome attempt_confined(const Walls& walls, const std::function<int()>& attempt) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return {.code = kNotConfined};
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe[1], STDERR_FILENO);
        close(pipe[0]);
        close(pipe[1]);
        std::atomic<bool> started{false};
        std::atomic<bool> confined{false};
        std::atomic<int> code{0};
        if (walls.files &&
            !(walls.shared.empty() ? confine_files(walls.folder) : confine_files(walls.shared, walls.network)))
            _exit(kNotConfined);
        std::thread thread([&] {
            started = true;
            started.notify_all();
            confined.wait(false);
            code = attempt();
        });
        started.wait(false);
        if (walls.calls && !confine_calls(walls.permissions)) _exit(kNotConfined);
        confined = true;
        confined.notify_all();
        thread.join();
        _exit(code);
    }
    close(pipe[1]);
    Outcome outcome;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = read(pipe[0], part.data(), part.size())) > 0;)
        outcome.said.append(part.data(), static_cast<size_t>(got));
    close(pipe[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    return outcome;
}

}  // namespace doppel::machine::sandbox::testing
