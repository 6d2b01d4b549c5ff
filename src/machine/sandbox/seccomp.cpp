// The system calls that are left to a machine, as a seccomp filter.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <malloc.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <thread>
#include <vector>

#include "base/instrumented.h"
#include "machine/sandbox/denied_call.h"
#include "machine/sandbox/sandbox.h"

namespace doppel::machine::sandbox {
namespace {

using Argument = scmp_arg_cmp;

// Whatever their arguments: none of them names a file, another process or a machine on the network.
constexpr std::array kAllowed{
    // descriptors that are open
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
    SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(close),
    // waiting
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(restart_syscall),
    // time
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
    // memory; malloc asks for the number of processors when a thread needs an arena
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrandom),
    // signals of its own, and the end
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    // the beginning of threads that were made before the walls and first run behind them
    SCMP_SYS(rseq), SCMP_SYS(set_robust_list)};

// Not TIOCSTI, which types into the terminal as the user would.
constexpr std::array kTerminalRequests{TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGPGRP, TIOCGWINSZ};
constexpr std::array kFileCommands{F_GETFD, F_SETFD, F_GETFL, F_SETFL};

// The ring was told at its making what it may do (storage/uring_engine.cpp).
constexpr std::array kDiskCalls{SCMP_SYS(io_uring_enter), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(ftruncate),
                                SCMP_SYS(fstatfs)};

// By path; confine_files says which.
constexpr std::array kFileCalls{SCMP_SYS(openat),    SCMP_SYS(newfstatat), SCMP_SYS(statx),      SCMP_SYS(access),
                                SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64), SCMP_SYS(rename),
                                SCMP_SYS(renameat),  SCMP_SYS(renameat2),  SCMP_SYS(unlink),     SCMP_SYS(unlinkat),
                                SCMP_SYS(utimensat), SCMP_SYS(flock),      SCMP_SYS(geteuid)};

// A server of folders: by descriptor and name, within what confine_files leaves. Landlock does not know changes of
// modes, owners, times and attributes: these calls take descriptors of files that were opened, which it does know.
// Times of symbolic links have no such call, and for root, who alone gives links away, their owners have none either.
constexpr std::array kShareCalls{SCMP_SYS(openat),   SCMP_SYS(openat2),   SCMP_SYS(statx),   SCMP_SYS(readlinkat),
                                 SCMP_SYS(getxattr), SCMP_SYS(listxattr), SCMP_SYS(fstatfs), SCMP_SYS(getdents64),
                                 SCMP_SYS(preadv),   SCMP_SYS(flock),     SCMP_SYS(syncfs)};
constexpr int kFchmodat2 = 452;  // Linux 6.6; libraries do not know it yet
constexpr std::array kShareChanges{
    SCMP_SYS(pwritev),   SCMP_SYS(ftruncate), SCMP_SYS(mkdirat),      SCMP_SYS(unlinkat),       SCMP_SYS(symlinkat),
    SCMP_SYS(linkat),    SCMP_SYS(renameat),  SCMP_SYS(renameat2),    SCMP_SYS(fchown),         SCMP_SYS(fchmod),
    SCMP_SYS(fsetxattr), SCMP_SYS(utimensat), SCMP_SYS(fremovexattr), SCMP_SYS(copy_file_range)};
constexpr std::array kShareOwners{SCMP_SYS(fchownat), kFchmodat2};
constexpr std::array kShareCommands{F_OFD_SETLK, F_OFD_GETLK};

// The runtimes of sanitizers: leak checks at the end (threads that are stopped and looked at), reports with symbols.
constexpr std::array kForSanitizers{
    SCMP_SYS(open),  SCMP_SYS(openat),     SCMP_SYS(readlink),  SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(stat),  SCMP_SYS(newfstatat), SCMP_SYS(clone),     SCMP_SYS(clone3),     SCMP_SYS(fork),
    SCMP_SYS(vfork), SCMP_SYS(execve),     SCMP_SYS(ptrace),    SCMP_SYS(wait4),      SCMP_SYS(prctl),
    SCMP_SYS(kill),  SCMP_SYS(pipe2),      SCMP_SYS(pipe),      SCMP_SYS(dup2),       SCMP_SYS(getppid),
    SCMP_SYS(uname), SCMP_SYS(getrlimit),  SCMP_SYS(setrlimit), SCMP_SYS(prlimit64),  SCMP_SYS(mlock),
    SCMP_SYS(getuid)};

// Of the network, by any user's rights; and what libslirp reads the name servers' addresses with.
constexpr std::array kSocketCalls{
    SCMP_SYS(bind),       SCMP_SYS(connect),  SCMP_SYS(listen),      SCMP_SYS(accept),      SCMP_SYS(accept4),
    SCMP_SYS(sendto),     SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),     SCMP_SYS(recvmsg),     SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt), SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(openat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx)};
constexpr std::array kSocketFamilies{AF_INET, AF_INET6};
constexpr std::array kSocketRequests{FIONREAD, FIONBIO};

// A switch's: memory for a member, which nobody can cut short, and its socket.
constexpr std::array kMemberCalls{SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(accept4), SCMP_SYS(setsockopt)};
constexpr std::array kMemberCommands{F_ADD_SEALS, F_DUPFD_CLOEXEC};

struct Release {
    void operator()(scmp_filter_ctx filter) const { seccomp_release(filter); }
};

// Rules are added until one fails; `error` is then the errno value.
class Filter {
  public:
    explicit Filter(uint32_t otherwise) : filter_(seccomp_init(otherwise)) {
        if (!filter_) error_ = ENOMEM;
    }

    void set(scmp_filter_attr attribute, uint32_t value) {
        if (error_ == 0) error_ = -seccomp_attr_set(filter_.get(), attribute, value);
    }
    void allow(int call, const std::vector<Argument>& when = {}) { add(SCMP_ACT_ALLOW, call, when); }
    void refuse(int call) { add(SCMP_ACT_ERRNO(EPERM), call, {}); }
    int load() {
        if (error_ == 0) error_ = -seccomp_load(filter_.get());
        return error_;
    }

  private:
    void add(uint32_t action, int call, const std::vector<Argument>& when) {
        if (error_ != 0) return;
        error_ = -seccomp_rule_add_array(filter_.get(), action, call, static_cast<unsigned>(when.size()), when.data());
    }

    std::unique_ptr<void, Release> filter_;
    int error_ = 0;
};

Argument equals(unsigned index, uint64_t value) {
    return {index, SCMP_CMP_EQ, value, 0};
}

void allow_memory(Filter& filter, bool executable) {
    for (int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
        if (executable) {
            filter.allow(call);
        } else {
            filter.allow(call, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}});
        }
    }
}

void allow_connections(Filter& filter) {
    for (int call : {SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(shutdown)}) filter.allow(call);
    // To the peer that there is, never to an address.
    for (int call : {SCMP_SYS(sendto), SCMP_SYS(recvfrom)}) filter.allow(call, {equals(4, 0)});
}

// Not allowed but expected: the C library takes them for a file that cannot be looked at and goes on.
void refuse_quietly(Filter& filter, bool shares) {
    filter.refuse(SCMP_SYS(newfstatat));
    if (!shares) filter.refuse(SCMP_SYS(statx));
}

void allow_shares(Filter& filter, const Permissions& permissions) {
    for (int call : kShareCalls) filter.allow(call);
    for (int command : kShareCommands) filter.allow(SCMP_SYS(fcntl), {equals(1, static_cast<uint64_t>(command))});
    if (!permissions.shared_changes) return;
    for (int call : kShareChanges) filter.allow(call);
    if (!permissions.shared_owners) return;
    for (int call : kShareOwners) filter.allow(call);
}

void allow_sockets(Filter& filter) {
    for (int call : kSocketCalls) filter.allow(call);
    for (int family : kSocketFamilies) filter.allow(SCMP_SYS(socket), {equals(0, static_cast<uint64_t>(family))});
    for (auto request : kSocketRequests) filter.allow(SCMP_SYS(ioctl), {equals(1, request)});
}

void add_rules(Filter& filter, const Permissions& permissions) {
    for (int call : kAllowed) filter.allow(call);
    for (int command : kFileCommands) {
        filter.allow(SCMP_SYS(fcntl), {equals(1, static_cast<uint64_t>(command))});
    }
    filter.allow(SCMP_SYS(tgkill), {equals(0, static_cast<uint64_t>(getpid()))});
    allow_memory(filter, permissions.executable_memory);
    if (permissions.accept_connections) allow_connections(filter);
    if (permissions.receive_descriptors) filter.allow(SCMP_SYS(recvmsg));
    if (permissions.terminal) {
        for (auto request : kTerminalRequests) filter.allow(SCMP_SYS(ioctl), {equals(1, request)});
        filter.allow(SCMP_SYS(getpgrp));
        filter.allow(SCMP_SYS(getpgid), {equals(0, 0)});
    }
    if (permissions.disks) {
        for (int call : kDiskCalls) filter.allow(call);
    }
    if (permissions.link) {
        filter.allow(SCMP_SYS(sendmsg));
        filter.allow(SCMP_SYS(recvfrom), {equals(4, 0)});
    }
    if (permissions.taps) filter.allow(SCMP_SYS(ioctl), {equals(1, TUNSETOFFLOAD)});
    if (permissions.members) {
        for (int call : kMemberCalls) filter.allow(call);
        for (int command : kMemberCommands) filter.allow(SCMP_SYS(fcntl), {equals(1, static_cast<uint64_t>(command))});
    }
    if (permissions.sockets) allow_sockets(filter);
    if (permissions.files) {
        for (int call : kFileCalls) filter.allow(call);
    }
    if (permissions.shares) allow_shares(filter, permissions);
    if (kInstrumented) {
        for (int call : kForSanitizers) filter.allow(call);
    } else if (!permissions.files && !permissions.sockets) {
        refuse_quietly(filter, permissions.shares);
    }
}

}  // namespace

namespace {

// glibc reads /proc/sys/vm/overcommit_memory when a thread other than the first shrinks its heap for the first time
// (check_may_shrink_heap); the answer is kept for the process. And it counts the processors, in /sys, for the ninth
// thread that allocates (arena_get2), unless told how many arenas there may be. Nobody could ask later. How much a heap
// keeps grows with the blocks that were freed (mallopt(3), M_MMAP_THRESHOLD), unless it is set.
void let_allocator_look_around() {
    constexpr int kArenas = 8;
    mallopt(M_ARENA_MAX, kArenas);
    constexpr int kKept = 128 << 10;
    mallopt(M_TRIM_THRESHOLD, kKept);
    constexpr size_t kBlocks = 16, kBlockBytes = 64 << 10;
    std::thread([] {
        std::vector<std::unique_ptr<char[]>> blocks;
        for (size_t i = 0; i < kBlocks; i++) {
            blocks.emplace_back(new char[kBlockBytes]);
            *const_cast<volatile char*>(blocks.back().get()) = 0;
        }
        while (!blocks.empty()) blocks.pop_back();
    }).join();
}

}  // namespace

Result<Missing> confine_calls(const Permissions& permissions) {
    constexpr uint32_t kBinaryTree = 2;
    let_allocator_look_around();
    Filter filter(SCMP_ACT_TRAP);
    filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);  // 32-bit calls, which nothing here makes
    filter.set(SCMP_FLTATR_CTL_TSYNC, 1);
    filter.set(SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree);
    filter.set(SCMP_FLTATR_API_SYSRAWRC, 1);
    add_rules(filter, permissions);
    report_denied_calls();
    const int error = filter.load();
    if (error == EINVAL || error == ENOSYS) return Missing("this kernel gives no seccomp filters");
    if (error != 0) return fail(Error::system("confine the machine", "seccomp", error));
    return Missing();
}

}  // namespace doppel::machine::sandbox
