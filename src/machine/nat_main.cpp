// doppel-nat: the network `user` of one machine, in a process of its own: what has sockets of the host sees no guest
// memory. Started by the machine: `doppel-nat LINK-FD [--restrict] [FORWARD...]`.
//
// The first message on the link is empty when the ports are taken, or else what failed, subject, why and cure, each
// ended by a NUL.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "machine/sandbox/sandbox.h"
#include "network/user/nat.h"

namespace {

using namespace doppel;

// The addresses of name servers are looked up anew when they change.
std::vector<UniqueFd> resolver_folders() {
    std::vector<UniqueFd> folders;
    for (const char* path : {"/etc", "/run/systemd/resolve"}) {
        UniqueFd folder(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (folder) folders.push_back(std::move(folder));
    }
    return folders;
}

void confine() {
    const auto folders = resolver_folders();
    std::vector<machine::sandbox::SharedFolder> left;
    for (const UniqueFd& folder : folders) left.push_back({folder.get(), true});
    const auto files = machine::sandbox::confine_files(left, machine::sandbox::Network::kLeft);
    if (!files) log_warning("network: {}", files.error().message());
    const auto calls = machine::sandbox::confine_calls({.sockets = true});
    if (!calls) log_warning("network: {}", calls.error().message());
}

void say(int link, std::string_view text) {
    (void)!send(link, text.data(), text.size(), MSG_NOSIGNAL);
}

std::string packed(const Error& error) {
    std::string text;
    for (const std::string* part : {&error.failed, &error.subject, &error.why, &error.cure}) {
        text += *part;
        text += '\0';
    }
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    setsid();  // Ctrl-C is the guest's
    network::user::NatOptions options;
    int link = -1;
    if (argc > 1) {
        const std::string_view number(argv[1]);
        std::from_chars(number.data(), number.data() + number.size(), link);
    }
    bool usable = link >= 0 && fcntl(link, F_GETFD) >= 0;
    for (int i = 2; i < argc; i++) {
        if (std::string_view(argv[i]) == "--restrict") {
            options.restricted = true;
        } else if (const auto forward = network::forward_from(argv[i])) {
            options.forwards.push_back(*forward);
        } else {
            usable = false;
        }
    }
    if (!usable) {
        log_error("doppel-nat is started by a machine");
        return 2;
    }
    const UniqueFd own(link);
    fcntl(link, F_SETFD, FD_CLOEXEC);
    const auto served = network::user::run_nat(options, UniqueFd(fcntl(link, F_DUPFD_CLOEXEC, 0)), [link] {
        confine();
        say(link, std::string_view("", 1));
    });
    if (served) return 0;
    say(link, packed(served.error()));
    return 1;
}
