// doppel-machine: runs one machine, which the launcher describes, in this process.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "machine/machine.h"
#include "machine/spec/specification.h"

namespace {

constexpr int kExitUsage = 2;
constexpr int kExitNotStarted = 125;

int report(const doppel::Error& error) {
    std::fprintf(stderr, "doppel: %s\n", error.message().c_str());
    return error.kind == doppel::ErrorKind::kUsage ? kExitUsage : kExitNotStarted;
}

doppel::Result<int> run(int specification_fd) {
    DOPPEL_TRY(auto specification, doppel::machine::from_fd(specification_fd));
    close(specification_fd);
    DOPPEL_TRY(auto machine, doppel::machine::Machine::create(std::move(specification)));
    return machine->run();
}

// Every thread inherits the mask; the machine's event loop reads these signals.
void block_ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

// A write beyond the limit on files' sizes is an error of that write: the guest's, where a disk is written to.
void ignore_file_size_limit() {
    std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
    int fd = -1;
    bool understood = argc == 3 && std::strcmp(argv[1], "--spec-fd") == 0;
    if (understood) {
        const char* end = argv[2] + std::strlen(argv[2]);
        auto [stop, problem] = std::from_chars(argv[2], end, fd);
        understood = problem == std::errc() && stop == end && fd >= 0;
    }
    if (!understood) {
        return report(doppel::Error::usage("doppel-machine", "it is started by doppel", "use doppel run"));
    }
    block_ending_signals();
    ignore_file_size_limit();
    auto code = run(fd);
    return code ? *code : report(code.error());
}
