#include "machine/sandbox/denied_call.h"

#include <seccomp.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace doppel::machine::sandbox {
namespace {

constexpr int kCalls = 512;  // beyond the newest number there are few calls, and then the number is printed
constexpr size_t kLongestName = 32;
#ifndef SYS_SECCOMP
constexpr int SYS_SECCOMP = 1;  // si_code
#endif

// Made beforehand: the handler may interrupt malloc.
std::array<std::array<char, kLongestName>, kCalls> names;
struct sigaction former {};

class Line {
  public:
    void add(std::string_view text) {
        const size_t fits = std::min(text.size(), text_.size() - used_);
        std::memcpy(text_.data() + used_, text.data(), fits);
        used_ += fits;
    }
    void add(int number) {
        if (number >= 10) add(number / 10);
        const char digit = static_cast<char>('0' + number % 10);
        add(std::string_view(&digit, 1));
    }
    void print() const { [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text_.data(), used_); }

  private:
    std::array<char, 256> text_{};
    size_t used_ = 0;
};

void say_what_was_denied(int call) {
    Line line;
    line.add("doppel: run the machine: system call ");
    if (call >= 0 && call < kCalls && names[static_cast<size_t>(call)][0] != 0) {
        line.add(names[static_cast<size_t>(call)].data());
    } else {
        line.add("number ");
        line.add(std::max(call, 0));
    }
    line.add(": its sandbox does not allow it; a guest may have broken out, or doppel is at fault: report it\n");
    line.print();
}

// Everything here is async-signal-safe. SIGSYS itself is blocked until the handler returns.
void on_denied_call(int number, siginfo_t* info, void* context) {
    const int saved = errno;
    const struct sigaction next = former;
    sigaction(number, &next, nullptr);
    if ((next.sa_flags & SA_SIGINFO) != 0) {
        next.sa_sigaction(number, info, context);
    } else if (next.sa_handler != SIG_DFL) {
        next.sa_handler(number);  // gives the terminal back, say, so that the line below stands on one of its own
    }
    if (info->si_code == SYS_SECCOMP) say_what_was_denied(info->si_syscall);
    raise(number);
    errno = saved;
}

}  // namespace

void report_denied_calls() {
    for (int call = 0; call < kCalls; call++) {
        char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
        if (name == nullptr) continue;
        std::strncpy(names[static_cast<size_t>(call)].data(), name, kLongestName - 1);
        std::free(name);
    }
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_denied_call;
    sigfillset(&action.sa_mask);
    sigaction(SIGSYS, nullptr, &former);
    // Ignored, a denied call would only fail.
    if ((former.sa_flags & SA_SIGINFO) == 0 && former.sa_handler == SIG_IGN) former.sa_handler = SIG_DFL;
    sigaction(SIGSYS, &action, nullptr);
}

}  // namespace doppel::machine::sandbox
