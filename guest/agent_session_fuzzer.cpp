// The agent's end of its protocol under a hostile host, with workers that are mere pipes: nothing is run.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <optional>

#include "agent/frame.h"
#include "guest/session.h"
#include "guest/worker.h"

namespace doppel::guest {
namespace {

// One that has ended, for pidfds that are readable at once.
std::optional<Worker> fake_worker() {
    int in[2], out[2], report[2];
    if (pipe2(in, O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report) != 0) {
        std::abort();
    }
    (void)!write(out[1], "output", 6);
    for (int fd : {in[0], out[1], report[1]}) close(fd);
    Worker worker;
    worker.pid = vfork();
    if (worker.pid == 0) _exit(0);
    if (worker.pid < 0) std::abort();
    worker.ended.reset(static_cast<int>(syscall(SYS_pidfd_open, worker.pid, 0)));
    worker.input.reset(in[1]);
    worker.output.reset(out[0]);
    worker.report.reset(report[0]);
    return worker;
}

}  // namespace

std::optional<Worker> start_worker(agent::Service, const agent::Bytes&) {
    return fake_worker();
}
std::optional<Worker> start_program(const agent::ExecRequest&) {
    return fake_worker();
}

}  // namespace doppel::guest

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    if (size > 8192 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return 0;
    agent::Bytes bytes;
    agent::append_hello(bytes, {});
    // Frames whose types, channels and lengths are in the input, and bytes as they are.
    for (size_t at = 0; at + 4 < size;) {
        const size_t length = std::min<size_t>(data[at + 3], size - at - 4);
        const std::span<const uint8_t> payload(data + at + 4, length);
        if ((data[at] & 0x80) == 0) {
            agent::append_frame(
                bytes, {static_cast<agent::FrameType>(data[at] % 10), data[at + 1], data[at + 2] % 8u, payload});
        } else {
            bytes.insert(bytes.end(), payload.begin(), payload.end());
        }
        at += 4 + length;
    }
    (void)!write(ends[0], bytes.data(), bytes.size());
    shutdown(ends[0], SHUT_WR);
    guest::Session(ends[1]).serve();
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    close(ends[0]);
    close(ends[1]);
    return 0;
}
