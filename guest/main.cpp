// doppel-agent: what doppel asks of a running guest is done by this program. docs/agent.md tells of it.
#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "guest/init.h"
#include "guest/port.h"
#include "guest/system_call.h"

namespace {

constexpr const char* kHelp =
    "usage: doppel-agent [--port NAME|PATH] [--supervise]   serve the host over a virtio port (org.doppel.agent)\n"
    "       doppel-agent --init [COMMAND [ARGUMENT...]]     be process 1: mount, start COMMAND (/bin/sh), serve\n"
    "       doppel-agent --help | --version\n"
    "With --supervise the agent is started again whenever it ends. Exit code 3: there is no such port.\n";

int misuse(const char* word) {
    dprintf(STDERR_FILENO, "doppel-agent: usage: %s; see: doppel-agent --help\n", word);
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace doppel::guest;
    umask(022);
    std::string port = kPortName;
    bool supervised = false, as_init = getpid() == 1;
    std::vector<std::string> command;
    int at = 1;
    for (; at < argc; at++) {
        const std::string_view word = argv[at];
        if (word == "--help" || word == "--version") {
            const char* text = word == "--help" ? kHelp : "doppel-agent " DOPPEL_VERSION "\n";
            return write_all(STDOUT_FILENO, std::string_view(text)) ? 0 : 1;
        }
        if (word == "--supervise") {
            supervised = true;
        } else if (word == "--port" && at + 1 < argc) {
            port = argv[++at];
        } else if (word == "--init") {
            as_init = true;
        } else if (as_init) {
            break;
        } else {
            return misuse(argv[at]);
        }
    }
    for (; at < argc; at++) command.emplace_back(argv[at]);
    if (as_init) run_as_init(port, command);
    return supervised ? supervise(port) : serve_port(port);
}
