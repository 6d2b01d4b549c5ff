// doppel-instance: the verbs for instances, called by doppel with the words that it was given.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "cli/instance/verbs.h"

namespace {

using doppel::Error;
using doppel::Result;
using doppel::cli::Arguments;

constexpr int kUsage = 2;

using Run = Result<int> (*)(const Arguments&);
namespace cli = doppel::cli;
constexpr std::array kRuns{std::pair{"run", Run{cli::run_kept}},
                           std::pair{"ls", Run{cli::run_ls}},
                           std::pair{"info", Run{cli::run_info}},
                           std::pair{"start", Run{cli::run_start}},
                           std::pair{"stop", Run{cli::run_stop}},
                           std::pair{"restart", Run{cli::run_restart}},
                           std::pair{"pause", Run{cli::run_pause}},
                           std::pair{"resume", Run{cli::run_resume}},
                           std::pair{"kill", Run{cli::run_kill}},
                           std::pair{"console", Run{cli::run_console}},
                           std::pair{"logs", Run{cli::run_logs}},
                           std::pair{"exec", Run{cli::run_exec}},
                           std::pair{"shell", Run{cli::run_shell}},
                           std::pair{"cp", Run{cli::run_cp}},
                           std::pair{"wait", Run{cli::run_wait}},
                           std::pair{"rename", Run{cli::run_rename}},
                           std::pair{"set", Run{cli::run_set}},
                           std::pair{"edit", Run{cli::run_edit}},
                           std::pair{"apply", Run{cli::run_apply}},
                           std::pair{"stats", Run{cli::run_stats}},
                           std::pair{"events", Run{cli::run_events}},
                           std::pair{"rm", Run{cli::run_rm}},
                           std::pair{"undelete", Run{cli::run_undelete}},
                           std::pair{"purge", Run{cli::run_purge}},
                           std::pair{"prune", Run{cli::run_prune}},
                           std::pair{"top", Run{cli::run_top}},
                           std::pair{"autostart", Run{cli::run_autostart}}};

int report(const Error& error, int failure) {
    std::fprintf(stderr, "doppel: %s\n", error.message().c_str());
    return error.kind == doppel::ErrorKind::kUsage ? kUsage : failure;
}

int run(const std::string& name, const std::vector<std::string>& words) {
    if (name == "reap" && words.size() == 1) {
        const auto code = cli::reap(words.front());
        return code ? *code : report(code.error(), 1);
    }
    const cli::Verb* verb = cli::find_verb(cli::verbs(), name);
    for (const auto& [known, function] : kRuns) {
        if (verb == nullptr || name != known) continue;
        const auto arguments = Arguments::parse(*verb, words);
        if (!arguments) return report(arguments.error(), verb->failure);
        const auto code = function(*arguments);
        return code ? *code : report(code.error(), verb->failure);
    }
    return report(Error::usage("doppel-instance", "it is called by doppel", "use doppel"), kUsage);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    if (argc < 2) return run("", {});
    const int code = run(argv[1], {argv + 2, argv + argc});
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
        return report(Error::system("print", "standard output", errno), code == 0 ? 1 : code);
    return code;
}
