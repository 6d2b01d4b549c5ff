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

doppel::Result<int> run(int specification_fd, int ready_fd) {
    DOPPEL_TRY(auto specification, doppel::machine::from_fd(specification_fd));
    close(specification_fd);
    DOPPEL_TRY(auto machine, doppel::machine::Machine::create(std::move(specification)));
    if (ready_fd >= 0) machine->tell_when_started(doppel::UniqueFd(ready_fd));
    return machine->run();
}

bool descriptor_from(const char* text, int& fd) {
    const char* end = text + std::strlen(text);
    const auto [stop, problem] = std::from_chars(text, end, fd);
    return problem == std::errc() && stop == end && fd >= 0;
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
    // --spec-fd N [--ready-fd N]: the second gets a byte when guest code begins to run.
    int fd = -1, ready = -1;
    bool understood = argc >= 3 && std::strcmp(argv[1], "--spec-fd") == 0 && descriptor_from(argv[2], fd);
    if (argc > 3)
        understood =
            understood && argc == 5 && std::strcmp(argv[3], "--ready-fd") == 0 && descriptor_from(argv[4], ready);
    if (!understood) {
        return report(doppel::Error::usage("doppel-machine", "it is started by doppel", "use doppel run"));
    }
    block_ending_signals();
    ignore_file_size_limit();
    auto code = run(fd, ready);
    return code ? *code : report(code.error());
}
