// The main() of an executable that carries one of doppel's verbs with verbs of its own, as `doppel disk` is.
#pragma once

#include <CLI/CLI.hpp>
#include <exception>
#include <string>
#include <type_traits>

#include "base/progress.h"
#include "base/result.h"

namespace doppel {

// One line on standard error; the exit code for it.
inline int report(const Error& error) {
    constexpr int kFailed = 1, kUsage = 2;
    write_past_progress("doppel: " + error.message() + "\n");
    return error.kind == ErrorKind::kUsage ? kUsage : kFailed;
}

// A CommandLine has `app`, a CLI::App with the verb's name as users type it, whose callbacks do the work, and `result`,
// what came of it: a Result of the exit code, or of nothing.
template <class CommandLine>
int run_verb_program(int argc, char** argv) {
    CommandLine line;
    const std::string verb = line.app.get_name();
    try {
        line.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return line.app.exit(error);
        return report(Error{"usage", verb, error.what(), "see: " + verb + " --help", ErrorKind::kUsage});
    } catch (const std::exception& error) {
        return report({"run", verb, error.what(), ""});
    }
    if (!line.result) return report(line.result.error());
    if constexpr (std::is_void_v<typename decltype(line.result)::value_type>) {
        return 0;
    } else {
        return *line.result;
    }
}

}  // namespace doppel
