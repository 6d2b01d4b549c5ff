#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/instrumented.h"
#include "base/temporary_folder.h"
#include "base/unique_fd.h"
#include "machine/sandbox/confined_child.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox {
namespace {

using testing::attempt_confined;
using ::testing::HasSubstr;
using testing::Outcome;

// What code that has broken out of a guest would try. Made by number, as it would: no library stands in between.
struct Attempt {
    std::string name;  // of the system call, as the user is told
    std::function<long()> make;
    bool sanitizers_need_it = false;
};

long connect_to_loopback() {
    const long made = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(80);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return syscall(SYS_connect, made, &address, sizeof address);
}

long execute_shell() {
    std::array<const char*, 2> words{"sh", nullptr};
    return syscall(SYS_execve, "/bin/sh", words.data(), nullptr);
}

long make_executable(int call) {
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(call, page, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

std::vector<Attempt> attempts() {
    const pid_t other = getpid();  // the test: not the confined process
    return {
        {"openat", [] { return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }, true},
        {"openat", [] { return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY); }, true},
        {"openat2", [] { return syscall(SYS_openat2, AT_FDCWD, "/", nullptr, 0); }},
        {"open_by_handle_at", [] { return syscall(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0); }},
        {"unlinkat", [] { return syscall(SYS_unlinkat, AT_FDCWD, "/none", 0); }},
        {"renameat2", [] { return syscall(SYS_renameat2, AT_FDCWD, "/none", AT_FDCWD, "/nothing", 0); }},
        {"socket", connect_to_loopback},
        {"connect", [] { return syscall(SYS_connect, 0, nullptr, 0); }},
        {"bind", [] { return syscall(SYS_bind, 0, nullptr, 0); }},
        {"accept4", [] { return syscall(SYS_accept4, 0, nullptr, nullptr, 0); }},
        {"sendmsg", [] { return syscall(SYS_sendmsg, 0, nullptr, 0); }},
        {"execve", execute_shell, true},
        {"execveat", [] { return syscall(SYS_execveat, AT_FDCWD, "/bin/sh", nullptr, nullptr, 0); }},
        {"clone", [] { return syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); }, true},
        {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }, true},
        {"mprotect", [] { return make_executable(SYS_mprotect); }},
        {"mmap", [] { return make_executable(SYS_mmap); }},
        {"pkey_mprotect", [] { return make_executable(SYS_pkey_mprotect); }},
        {"ptrace", [=] { return syscall(SYS_ptrace, PTRACE_ATTACH, other, nullptr, nullptr); }, true},
        {"process_vm_readv", [=] { return syscall(SYS_process_vm_readv, other, nullptr, 0, nullptr, 0, 0); }},
        {"process_vm_writev", [=] { return syscall(SYS_process_vm_writev, other, nullptr, 0, nullptr, 0, 0); }},
        {"kill", [=] { return syscall(SYS_kill, other, 0); }, true},
        {"tgkill", [=] { return syscall(SYS_tgkill, other, other, 0); }},
        {"pidfd_open", [=] { return syscall(SYS_pidfd_open, other, 0); }},
        {"ioctl", [] { return syscall(SYS_ioctl, 0, TIOCSTI, "x"); }},
        {"fcntl", [] { return syscall(SYS_fcntl, 0, F_SETOWN, 1); }},
        {"prctl", [] { return syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); }, true},
        {"setuid", [] { return syscall(SYS_setuid, 0); }},
        {"unshare", [] { return syscall(SYS_unshare, CLONE_NEWUSER); }},
        {"mount", [] { return syscall(SYS_mount, "none", "/", "tmpfs", 0, nullptr); }},
        {"memfd_create", [] { return syscall(SYS_memfd_create, "x", 0); }},
        {"io_uring_setup", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }},
        {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }},
        {"userfaultfd", [] { return syscall(SYS_userfaultfd, 0); }},
        {"number 511", [] { return syscall(511); }},
    };
}

class Denied : public ::testing::TestWithParam<Attempt> {};

TEST_P(Denied, EndsTheProcessWithALineThatNamesTheCall) {
    if (kInstrumented && GetParam().sanitizers_need_it) GTEST_SKIP() << "this build's runtime makes this call";
    // The filter alone: what it stops must not depend on landlock.
    const Outcome outcome =
        attempt_confined({.files = false}, [] { return GetParam().make() < 0 && errno != 0 ? 1 : 0; });
    EXPECT_EQ(outcome.signal, SIGSYS) << "exit code " << outcome.code;
    EXPECT_THAT(outcome.said, HasSubstr("doppel: run the machine: system call " + GetParam().name + ": "));
    EXPECT_EQ(std::count(outcome.said.begin(), outcome.said.end(), '\n'), 1);
}

INSTANTIATE_TEST_SUITE_P(Sandbox, Denied, ::testing::ValuesIn(attempts()), [](const auto& tested) {
    std::string name = std::to_string(tested.index) + tested.param.name;
    std::erase_if(name, [](char c) { return c == '_' || c == ' '; });
    return name;
});

TEST(Seccomp, LeavesWhatAMachineDoes) {
    const UniqueFd event(eventfd(0, 0));
    const UniqueFd epoll(epoll_create1(0));
    const Outcome outcome = attempt_confined({}, [&] {
        epoll_event wanted{.events = EPOLLIN, .data = {}};
        if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &wanted) != 0) return 1;
        if (eventfd_write(event.get(), 1) != 0 || epoll_wait(epoll.get(), &wanted, 1, -1) != 1) return 2;
        std::vector<char> large(64 << 20, 1);
        uint64_t random = 0;
        if (getrandom(&random, sizeof random, 0) != sizeof random) return 3;
        std::mutex lock;
        std::condition_variable never;
        std::unique_lock guard(lock);
        never.wait_for(guard, std::chrono::milliseconds(1));
        if (large.back() != 1 || raise(0) != 0) return 4;
        struct stat status {};
        if (!kInstrumented && (fstatat(AT_FDCWD, "/", &status, 0) == 0 || errno != EPERM)) return 5;
        return 0;
    });
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
}

TEST(Seccomp, LetsAThreadGiveMemoryBack) {
    const Outcome outcome = attempt_confined({}, [] {
        constexpr size_t kBlocks = 100, kBlockBytes = 60'000;
        for (int round = 0; round < 3; round++) {
            std::vector<std::vector<char>> blocks(kBlocks, std::vector<char>(kBlockBytes));
        }
        return 0;
    });
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
}

// What was freed before makes glibc keep more, so that its first look comes later.
TEST(Seccomp, LetsAThreadGiveMemoryBackAfterLargeBlocksWereFreed) {
    { std::vector<char> large(size_t{1} << 20, 'x'); }
    const Outcome outcome = attempt_confined({}, [] {
        constexpr size_t kBlocks = 100, kBlockBytes = 60'000;
        std::vector<std::vector<char>> blocks(kBlocks, std::vector<char>(kBlockBytes));
        return 0;
    });
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
}

TEST(Seccomp, LetsManyThreadsAllocateForTheFirstTime) {
    // No thread can be started afterwards, so they wait for the walls to stand.
    std::atomic<bool> confined{false};
    std::atomic<int> allocated{0};
    constexpr int kThreads = 24;
    const pid_t child = fork();
    if (child == 0) {
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; i++) {
            threads.emplace_back([&confined, &allocated] {
                while (!confined.load()) sched_yield();
                std::vector<char> memory(1000, 'x');
                *const_cast<volatile char*>(memory.data()) = 'y';
                allocated++;
                while (allocated.load() < kThreads) sched_yield();  // each keeps its arena
            });
        }
        if (!confine_calls({})) _exit(1);
        confined.store(true);
        for (std::thread& thread : threads) thread.join();
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(Seccomp, LeavesOpenFilesWritable) {
    TemporaryFolder folder;
    const UniqueFd file(open((folder / "flash").c_str(), O_RDWR | O_CREAT, 0600));
    const Outcome outcome = attempt_confined({}, [&] {
        char back = 0;
        const bool done = pwrite(file.get(), "x", 1, 4096) == 1 && fdatasync(file.get()) == 0 &&
                          fsync(file.get()) == 0 && pread(file.get(), &back, 1, 4096) == 1;
        return done && back == 'x' ? 0 : 1;
    });
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
}

TEST(Seccomp, AllowsDisksTheirInputAndOutput) {
    TemporaryFolder folder;
    const UniqueFd file(open((folder / "disk").c_str(), O_RDWR | O_CREAT, 0600));
    io_uring_params parameters{};
    const UniqueFd ring(static_cast<int>(syscall(SYS_io_uring_setup, 1, &parameters)));
    const auto attempt = [&] {
        std::array<char, 2> bytes{'x', 'y'};
        const iovec part{bytes.data(), bytes.size()};
        const bool done = pwritev(file.get(), &part, 1, 4096) == 2 && preadv(file.get(), &part, 1, 4096) == 2 &&
                          ftruncate(file.get(), 8192) == 0 && lseek(file.get(), 0, SEEK_DATA) >= 0;
        if (ring && syscall(SYS_io_uring_enter, ring.get(), 0, 0, 0, nullptr, 0) != 0) return 2;
        return done ? 0 : 1;
    };
    const Outcome outcome = attempt_confined({.permissions = {.disks = true}}, attempt);
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(attempt_confined({}, attempt).signal, SIGSYS) << "a machine without disks needs none of it";
    const Outcome another = attempt_confined({.permissions = {.disks = true}},
                                             [] { return static_cast<int>(syscall(SYS_io_uring_setup, 1, nullptr)); });
    EXPECT_EQ(another.signal, SIGSYS) << "a ring that may do more";
}

TEST(Seccomp, AllowsHostCodeToAnEngineThatMakesIt) {
    for (int call : {SYS_mprotect, SYS_mmap}) {
        const Outcome outcome = attempt_confined({.permissions = {.executable_memory = true}},
                                                 [&] { return make_executable(call) < 0 ? 1 : 0; });
        EXPECT_EQ(outcome.signal, 0) << outcome.said;
        EXPECT_EQ(outcome.code, 0);
    }
}

TEST(Seccomp, AllowsClientsOnASocketThatIsOpen) {
    TemporaryFolder folder;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    const UniqueFd client(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const Outcome outcome = attempt_confined({.permissions = {.accept_connections = true}}, [&] {
        const int peer = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
        return peer >= 0 && write(peer, "hello", 5) == 5 && send(peer, "!", 1, 0) == 1 ? 0 : 1;
    });
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
    std::array<char, 16> got{};
    EXPECT_EQ(read(client.get(), got.data(), got.size()), 6);
    // Datagrams can be sent to whom they name: never here.
    const Outcome named = attempt_confined({.permissions = {.accept_connections = true}}, [&] {
        return static_cast<int>(sendto(client.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address));
    });
    EXPECT_EQ(named.signal, SIGSYS);
    EXPECT_THAT(named.said, HasSubstr("sendto"));
}

TEST(Seccomp, AllowsATerminalsModeButNoTypingIntoIt) {
    int master = -1;
    int slave = -1;
    ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    const UniqueFd ends[] = {UniqueFd(master), UniqueFd(slave)};
    const Outcome outcome = attempt_confined({.permissions = {.terminal = true}}, [&] {
        termios mode{};
        winsize size{};
        return tcgetattr(slave, &mode) == 0 && tcsetattr(slave, TCSANOW, &mode) == 0 &&
                       ioctl(slave, TIOCGWINSZ, &size) == 0 && getpgrp() > 0
                   ? 0
                   : 1;
    });
    EXPECT_EQ(outcome.signal, 0) << outcome.said;
    EXPECT_EQ(outcome.code, 0);
    const Outcome typed =
        attempt_confined({.permissions = {.terminal = true}}, [&] { return ioctl(slave, TIOCSTI, "x"); });
    EXPECT_EQ(typed.signal, SIGSYS);
}

void say_former(int number) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, "former handler\n", 15);
    signal(number, SIG_DFL);
}

TEST(Seccomp, TellsTheHandlerThatWasThereBefore) {
    struct sigaction before {};
    struct sigaction action {};
    action.sa_handler = say_former;
    sigaction(SIGSYS, &action, &before);
    const Outcome outcome = attempt_confined({}, [] { return static_cast<int>(syscall(SYS_unshare, 0)); });
    sigaction(SIGSYS, &before, nullptr);
    EXPECT_EQ(outcome.signal, SIGSYS);
    EXPECT_THAT(outcome.said, ::testing::StartsWith("former handler\ndoppel: run the machine: system call unshare: "));
}

TEST(Seccomp, EndsAProcessThatIgnoresTheSignal) {
    struct sigaction before {};
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    sigaction(SIGSYS, &action, &before);
    const Outcome outcome = attempt_confined({}, [] { return static_cast<int>(syscall(SYS_unshare, 0)); });
    sigaction(SIGSYS, &before, nullptr);
    EXPECT_EQ(outcome.signal, SIGSYS);
}

}  // namespace
}  // namespace doppel::machine::sandbox
