// The child that becomes a program.
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "guest/accounts.h"
#include "guest/system_call.h"
#include "guest/worker.h"

namespace doppel::guest {

namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] void give_up(const Report& report, const agent::Outcome& outcome) {
    report.result(outcome);
    _exit(127);
}

bool has_nul(const std::vector<std::string>& texts) {
    return std::any_of(texts.begin(), texts.end(), [](const std::string& t) { return t.find('\0') != t.npos; });
}

void take_terminal(const char* path, const Report& report) {
    UniqueFd slave(open(path, O_RDWR | O_CLOEXEC));
    if (!slave || ioctl(slave.get(), TIOCSCTTY, 0) != 0) give_up(report, failure("take a terminal"));
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(slave.get(), fd);
}

void restore_signals() {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
}

// The C library's setuid and setgroups may wait for threads that there are none of; they are fine in a static program.
void become(const Account& account, const char* terminal, const Report& report) {
    if (terminal != nullptr && fchown(STDIN_FILENO, account.user, static_cast<gid_t>(-1)) != 0 && errno != EROFS) {
        give_up(report, failure("give the terminal to the user"));
    }
    if (setgroups(account.groups.size(), account.groups.data()) != 0 || setgid(account.group) != 0 ||
        setuid(account.user) != 0) {
        give_up(report, failure("become user " + account.name));
    }
}

void set_environment(const std::optional<Account>& account, bool terminal, const std::vector<std::string>& given) {
    if (getenv("PATH") == nullptr) setenv("PATH", kDefaultPath, 1);
    if (terminal) setenv("TERM", "xterm", 0);
    if (account) {
        setenv("HOME", account->home.empty() ? "/" : account->home.c_str(), 1);
        if (!account->name.empty()) setenv("USER", account->name.c_str(), 1);
        if (!account->name.empty()) setenv("LOGNAME", account->name.c_str(), 1);
        setenv("SHELL", account->shell.empty() ? "/bin/sh" : account->shell.c_str(), 1);
    }
    for (const std::string& entry : given) {
        const size_t equals = entry.find('=');
        if (equals != entry.npos) setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
    }
}

}  // namespace

void run_program(const agent::ExecRequest& request, const char* terminal, const Report& report) {
    if (request.arguments.empty() || request.arguments[0].empty()) give_up(report, refusal("no program is named"));
    if (has_nul(request.arguments) || has_nul(request.environment) || has_nul({request.directory, request.user})) {
        give_up(report, refusal("a NUL character in the request"));
    }
    if (terminal != nullptr) take_terminal(terminal, report);
    std::string who = request.user;
    if (who.empty()) who = std::to_string(getuid());
    auto account = find_account(who, read_text("/etc/passwd", 1 << 20), read_text("/etc/group", 1 << 20));
    if (!account && !request.user.empty()) give_up(report, failure("find user " + request.user, ENOENT));
    if (account && !request.user.empty()) become(*account, terminal, report);
    set_environment(account, terminal != nullptr, request.environment);
    if (!request.directory.empty()) {
        if (chdir(request.directory.c_str()) != 0) give_up(report, failure("change to " + request.directory));
    } else if (!account || account->home.empty() || chdir(account->home.c_str()) != 0) {
        if (chdir("/") != 0) give_up(report, failure("change to /"));
    }
    restore_signals();
    umask(022);
    std::vector<char*> arguments;
    for (const std::string& argument : request.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    agent::Outcome outcome = failure(request.arguments[0]);
    outcome.status = errno == ENOENT || errno == ENOTDIR ? agent::Status::kNotFound : agent::Status::kNotExecutable;
    give_up(report, outcome);
}

}  // namespace doppel::guest
