#include "network/link/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/program.h"
#include "base/unique_fd.h"

namespace doppel::network::link {

namespace {

constexpr int kPatience = 30'000;  // milliseconds, on a very busy host
constexpr const char* kPurpose = "start the network";

}  // namespace

Result<pid_t> start_beside(const std::string& program, std::span<const int> descriptors,
                           const std::vector<std::string>& words) {
    DOPPEL_TRY(const std::string path, beside(program));
    std::vector<char*> arguments{const_cast<char*>(path.c_str())};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    // It begins without this process's signal mask.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
    // Out of the way of the numbers that they get.
    const int end = kFirstDescriptor + static_cast<int>(descriptors.size());
    std::vector<UniqueFd> copies;
    for (int descriptor : descriptors) {
        copies.emplace_back(fcntl(descriptor, F_DUPFD_CLOEXEC, end));
        posix_spawn_file_actions_adddup2(&files, copies.back().get(),
                                         kFirstDescriptor + static_cast<int>(copies.size()) - 1);
    }
    posix_spawn_file_actions_addclosefrom_np(&files, end);
    pid_t child = -1;
    const int error = posix_spawn(&child, path.c_str(), &files, &attributes, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return child;
    return fail(cannot_start(path, error));
}

Result<> hear_ready(int socket, const std::string& program) {
    pollfd wait{socket, POLLIN, 0};
    int ready = 0;
    do {
        ready = poll(&wait, 1, kPatience);
    } while (ready < 0 && errno == EINTR);
    std::array<char, 4096> text{};
    const ssize_t got = ready == 1 ? recv(socket, text.data(), text.size() - 1, 0) : 0;
    if (got == 1 && text[0] == '\0') return {};
    if (got <= 0) return fail(Error{kPurpose, program, "it ended before it began", "see what it said before this"});
    std::array<std::string, 4> parts;
    const char* at = text.data();
    for (std::string& part : parts) {
        part = at;
        at = std::min<const char*>(at + part.size() + 1, text.data() + got);
    }
    return fail(Error{parts[0], parts[1], parts[2], parts[3]});
}

void tell_ready(int socket) {
    (void)!send(socket, "", 1, MSG_NOSIGNAL);
}

void tell_failed(int socket, const Error& error) {
    std::string text;
    for (const std::string* part : {&error.failed, &error.subject, &error.why, &error.cure}) {
        text += *part;
        text += '\0';
    }
    (void)!send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace doppel::network::link
