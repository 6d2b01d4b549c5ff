// doppel exec and doppel shell.
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/instance/guest.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "cli/plan.h"
#include "machine/console/raw_terminal.h"

namespace doppel::cli {

using agent::Control;
using agent::ExecRequest;
using agent::Outcome;
using agent::Status;
using instance::Instance;
using instance::RunState;
using instance::Store;

namespace {

constexpr const char* kExec = "run in the guest";

// Signals that go to the program in the guest, and the terminal's size.
class Steering {
  public:
    static Result<std::unique_ptr<Steering>> begin() {
        sigset_t set;
        sigemptyset(&set);
        for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) sigaddset(&set, signal);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!fd) return fail(Error::system(kExec, "signalfd", errno));
        return std::unique_ptr<Steering>(new Steering(std::move(fd)));
    }
    int wake() const { return fd_.get(); }
    std::optional<Control> next() const {
        signalfd_siginfo info;
        if (read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
        Control control;
        if (info.ssi_signo == SIGWINCH)
            control.size = size();
        else
            control.signal = info.ssi_signo;
        return control;
    }
    static std::optional<agent::TerminalSize> size() {
        winsize window{};
        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &window) != 0) return std::nullopt;
        return agent::TerminalSize{window.ws_col, window.ws_row};
    }

  private:
    explicit Steering(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

Result<ExecRequest> request_of(const Arguments& arguments, bool terminal) {
    ExecRequest request;
    request.environment = arguments.values("-e");
    for (const std::string& variable : request.environment)
        if (variable.find('=') == variable.npos || variable.front() == '=')
            return fail(Error::usage("-e", variable + " is no variable", "give NAME=VALUE"));
    request.directory = arguments.value("-w").value_or("");
    request.user = arguments.value("-u").value_or("");
    if (!terminal) return request;
    request.terminal = Steering::size();
    const char* type = std::getenv("TERM");
    request.environment.insert(request.environment.begin(), std::string("TERM=") + (type != nullptr ? type : "linux"));
    return request;
}

struct Ends {
    bool input = false;
    bool terminal = false;
};

Result<int> run_in(const Store& store, const Instance& instance, const ExecRequest& request, Ends ends) {
    DOPPEL_TRY(auto client, agent_of(store, instance));
    DOPPEL_TRY(const auto steering, Steering::begin());
    std::unique_ptr<machine::RawTerminal> raw;
    if (ends.terminal) {
        DOPPEL_TRY(raw, machine::RawTerminal::enter(STDIN_FILENO));
    }
    agent::client::Streams streams;
    streams.input = ends.input ? STDIN_FILENO : -1;
    streams.output = STDOUT_FILENO;
    streams.error = STDERR_FILENO;
    streams.wake = steering->wake();
    streams.control = [&] { return steering->next(); };
    DOPPEL_TRY(const Outcome outcome, client.run(agent::Service::kExec, agent::encode(request), streams));
    raw.reset();
    return code_of(outcome, request.arguments.front());
}

// The instance that `doppel shell` without a name enters.
Result<Instance> find_or_make_home(Store& store) {
    constexpr const char* kHome = "home";
    DOPPEL_TRY(const std::vector<Instance> all, store.list());
    for (const Instance& one : all)
        if (one.row.name == kHome) return one;
    DOPPEL_TRY(const Arguments words, Arguments::parse(*find_verb(verbs(), "run"), std::vector<std::string>{"tiny"}));
    DOPPEL_TRY(const image::Catalog catalog, image::Catalog::of_user());
    DOPPEL_TRY(Plan plan, make_plan(words, catalog));
    instance::Document document;
    document.image = plan.image;
    document.machine = std::move(plan.specification);
    const auto made = store.make(kHome, document);
    if (made) return made->instance;
    // Somebody else was faster.
    const auto there = store.find(kHome);
    if (there && there->row.name == kHome) return *there;
    return fail(made.error());
}

}  // namespace

Result<agent::client::Client> agent_of(const Store& store, const Instance& instance) {
    constexpr int kPatience = 20'000;  // milliseconds: a guest that boots
    if (const auto status = instance::control(store, instance, {}); status && status->paused)
        return fail(Error{kExec, instance.row.name, "it is paused", "doppel resume " + instance.row.name});
    return instance::reach_agent(store, instance, kPatience);
}

Result<int> code_of(const Outcome& outcome, const std::string& program) {
    constexpr int kSignalBase = 128, kNotExecutable = 126, kNotFound = 127;
    switch (outcome.status) {
        case Status::kDone:
            return static_cast<int>(outcome.signal != 0 ? kSignalBase + outcome.signal : outcome.exit_code);
        case Status::kNotExecutable:
        case Status::kNotFound: {
            Error error = agent::client::error_of(outcome, kExec);
            error.subject = program;
            std::fprintf(stderr, "doppel: %s\n", error.message().c_str());
            return outcome.status == Status::kNotFound ? kNotFound : kNotExecutable;
        }
        default:
            return fail(agent::client::error_of(outcome, kExec));
    }
}

Result<int> run_exec(const Arguments& arguments) {
    const auto& words = arguments.operands();
    if (words.size() < 2)
        return fail(Error::usage("exec", words.empty() ? "a name is missing" : "a program is missing",
                                 "doppel exec NAME PROGRAM"));
    const bool terminal = arguments.has("-t");
    if (terminal && isatty(STDIN_FILENO) == 0)
        return fail(Error::usage("-t", "standard input is not a terminal", "leave it out"));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const Instance instance, find_running(store, words.front(), kExec));
    DOPPEL_TRY(ExecRequest request, request_of(arguments, terminal));
    request.arguments.assign(words.begin() + 1, words.end());
    return run_in(store, instance, request, {arguments.has("-i"), terminal});
}

Result<int> run_shell(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    const auto& words = arguments.operands();
    DOPPEL_TRY(const Instance found, words.empty() ? find_or_make_home(store) : store.find(words.front()));
    DOPPEL_CHECK(start_if_stopped(store, found));
    DOPPEL_TRY(const Instance instance, find_running(store, found.row.name, kExec));
    const bool terminal = isatty(STDIN_FILENO) == 1;
    DOPPEL_TRY(ExecRequest request, request_of(arguments, terminal));
    request.arguments = {"/bin/sh", "-c", "exec \"${SHELL:-/bin/sh}\" -l"};
    return run_in(store, instance, request, {true, terminal});
}

}  // namespace doppel::cli
