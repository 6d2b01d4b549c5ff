#include "machine/user_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/program.h"

namespace doppel::machine {

namespace {

constexpr int kPatience = 30'000;  // milliseconds, on a very busy host
constexpr int kLinkFd = 3;
constexpr int kBufferBytes = 4 << 20;  // of frames on their way, each direction
constexpr const char* kPurpose = "start the network";

Result<> spawn(const std::string& path, int link, const std::vector<std::string>& words) {
    std::vector<char*> arguments{const_cast<char*>(path.c_str())};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    // It begins without the machine's signal mask, and with nothing of its descriptors but the link and the errors'.
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
    posix_spawn_file_actions_adddup2(&files, link, kLinkFd);
    posix_spawn_file_actions_addclosefrom_np(&files, kLinkFd + 1);
    pid_t child = -1;
    const int error = posix_spawn(&child, path.c_str(), &files, &attributes, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return {};
    return fail(cannot_start(path, error));
}

// What the process said first: nothing is wrong, or four texts.
Result<> hear(int link) {
    pollfd wait{link, POLLIN, 0};
    int ready = 0;
    do {
        ready = poll(&wait, 1, kPatience);
    } while (ready < 0 && errno == EINTR);
    std::array<char, 4096> text{};
    const ssize_t got = ready == 1 ? recv(link, text.data(), text.size() - 1, 0) : 0;
    if (got == 1 && text[0] == '\0') return {};
    if (got <= 0)
        return fail(Error{kPurpose, "doppel-nat", "it ended before it began", "see what it said before this"});
    std::array<std::string, 4> parts;
    const char* at = text.data();
    for (std::string& part : parts) {
        part = at;
        at = std::min<const char*>(at + part.size() + 1, text.data() + got);
    }
    return fail(Error{parts[0], parts[1], parts[2], parts[3]});
}

}  // namespace

Result<std::unique_ptr<network::link::SocketPort>> start_user_network(EventLoop& loop, const NetChoice& choice,
                                                                      const std::vector<network::Forward>& forwards) {
    DOPPEL_TRY(const std::string nat, beside("doppel-nat"));
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail(Error::system(kPurpose, "socketpair", errno));
    }
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    for (int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
    std::vector<std::string> words{std::to_string(kLinkFd)};
    if (choice.restricted) words.emplace_back("--restrict");
    for (const network::Forward& forward : forwards) words.push_back(text_of(forward));
    DOPPEL_CHECK(spawn(nat, its.get(), words));
    DOPPEL_CHECK(hear(ours.get()));
    fcntl(ours.get(), F_SETFL, O_NONBLOCK);
    return network::link::SocketPort::create(loop, std::move(ours), {.checksum = true, .tcp4 = true, .tcp6 = true});
}

}  // namespace doppel::machine
