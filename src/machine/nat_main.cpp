// doppel-nat: the network `user` of one machine, in a process of its own: what has sockets of the host sees no guest
// memory. Started by the machine: `doppel-nat LINK-FD [--restrict] [FORWARD...]`, or by a switch with
// `--control FD --subnet ADDRESS PREFIX6` besides.
//
// The first message on the link is empty when the ports are taken, or else what failed, subject, why and cure, each
// ended by a NUL.
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "machine/sandbox/sandbox.h"
#include "network/link/process.h"
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

// -1: it is none.
int descriptor_from(std::string_view text) {
    int number = -1;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number >= 0 && fcntl(number, F_GETFD) >= 0 ? number : -1;
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    setsid();  // Ctrl-C is the guest's
    network::user::NatOptions options;
    const int link = argc > 1 ? descriptor_from(argv[1]) : -1;
    UniqueFd control;
    bool usable = link >= 0;
    for (int i = 2; i < argc; i++) {
        if (std::string_view(argv[i]) == "--restrict") {
            options.restricted = true;
        } else if (std::string_view(argv[i]) == "--control" && i + 1 < argc) {
            control.reset(descriptor_from(argv[++i]));
            usable = usable && control && fcntl(control.get(), F_SETFD, FD_CLOEXEC) == 0;
        } else if (std::string_view(argv[i]) == "--subnet" && i + 2 < argc) {
            std::array<uint8_t, 4> address{};
            usable = usable && inet_pton(AF_INET, argv[++i], address.data()) == 1;
            options.subnet = {address[0], address[1], address[2]};
            options.prefix6 = argv[++i];
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
    const auto served = network::user::run_nat(
        options, UniqueFd(fcntl(link, F_DUPFD_CLOEXEC, 0)),
        [link] {
            confine();
            network::link::tell_ready(link);
        },
        std::move(control));
    if (served) return 0;
    network::link::tell_failed(link, served.error());
    return 1;
}
