#include "host/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <string>

#include "base/file.h"
#include "base/unique_fd.h"
#include "host/probe_list.h"

namespace doppel::host {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLimit{5000};     // of one probe; the longest takes half a second on an idle host
constexpr size_t kMaxAnswer = 16 << 10;  // bytes

// A finding as the child sends it: status, fact, lost, each ended by a NUL.
std::string encode(const Finding& finding) {
    return std::string(1, static_cast<char>('0' + static_cast<int>(finding.status))) + '\0' + finding.fact + '\0' +
           finding.lost + '\0';
}

bool decode(const std::string& answer, Finding& finding) {
    std::array<std::string, 3> parts;
    size_t at = 0;
    for (auto& part : parts) {
        const size_t end = answer.find('\0', at);
        if (end == answer.npos) return false;
        part = answer.substr(at, end - at);
        at = end + 1;
    }
    if (parts[0].size() != 1 || parts[0][0] < '0' || parts[0][0] > '2') return false;
    finding.status = static_cast<Status>(parts[0][0] - '0');
    finding.fact = parts[1];
    finding.lost = parts[2];
    return true;
}

[[noreturn]] void run_child(const Probe& probe, int answer, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);  // a probe's own children are killed with it
    const int quiet = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; quiet >= 0 && fd <= 2; fd++)
        if (fd != answer) dup2(quiet, fd);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGALRM, SIGCHLD}) signal(number, SIG_DFL);
    const std::string bytes = encode(probe.run());
    write_all(answer, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    _exit(0);
}

// Everything the child writes until it closes the pipe or the time is over.
std::string read_answer(int fd, Clock::time_point deadline) {
    std::string answer;
    std::array<char, 1024> part;
    while (answer.size() < kMaxAnswer) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) break;
        pollfd ready{fd, POLLIN, 0};
        if (poll(&ready, 1, static_cast<int>(left)) < 0 && errno != EINTR) break;
        if (ready.revents == 0) continue;
        const ssize_t got = read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        answer.append(part.data(), static_cast<size_t>(got));
    }
    return answer;
}

// A child stuck in the kernel cannot be killed; it is left to init rather than waited for.
void reap(pid_t child) {
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    for (int i = 0; i < 200; i++) {
        if (waitpid(child, nullptr, WNOHANG) != 0) return;
        const timespec pause{0, 5'000'000};
        nanosleep(&pause, nullptr);
    }
}

}  // namespace

std::string_view name_of(Status status) {
    switch (status) {
        case Status::kOk:
            return "ok";
        case Status::kDegraded:
            return "degraded";
        case Status::kMissing:
            return "missing";
    }
    return "missing";
}

std::span<const Probe> probes() {
    static constexpr std::array kProbes{
        Probe{"cgroups", probe_cgroups},
        Probe{"cores", probe_cores},
        Probe{"fuse", probe_fuse},
        Probe{"hugetlbfs", probe_hugetlbfs},
        Probe{"io_uring", probe_io_uring},
        Probe{"kernel", probe_kernel},
        Probe{"ksm", probe_ksm},
        Probe{"kvm", probe_kvm},
        Probe{"landlock", probe_landlock},
        Probe{"loop_devices", probe_loop_devices},
        Probe{"memory", probe_memory},
        Probe{"namespaces", probe_namespaces},
        Probe{"nested_namespaces", probe_nested_namespaces},
        Probe{"nftables", probe_nftables},
        Probe{"overlay", probe_overlay},
        Probe{"perf", probe_perf},
        Probe{"ring0", probe_ring0},
        Probe{"seccomp", probe_seccomp},
        Probe{"transparent_huge_pages", probe_transparent_huge_pages},
        Probe{"tun", probe_tun},
        Probe{"user_namespaces", probe_user_namespaces},
        Probe{"userfaultfd", probe_userfaultfd},
    };
    return kProbes;
}

Finding run_guarded(const Probe& probe, std::chrono::milliseconds limit) {
    Finding finding{std::string(probe.name), Status::kMissing, "the probe could not be started", "unknown"};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return finding;
    UniqueFd answer(ends[0]);
    UniqueFd child_end(ends[1]);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) return finding;
    if (child == 0) run_child(probe, child_end.get(), parent);
    setpgid(child, child);  // in both processes: neither knows which one runs first
    child_end.reset();
    const auto deadline = Clock::now() + limit;
    const std::string text = read_answer(answer.get(), deadline);
    if (!decode(text, finding))
        finding.fact =
            Clock::now() >= deadline ? "no answer within " + std::to_string(limit.count()) + " ms" : "the probe died";
    reap(child);
    return finding;
}

std::vector<Finding> probe_all() {
    std::vector<Finding> findings;
    for (const Probe& probe : probes()) findings.push_back(run_guarded(probe, kLimit));
    return findings;
}

}  // namespace doppel::host
