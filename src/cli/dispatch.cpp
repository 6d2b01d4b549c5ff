#include "cli/dispatch.h"

#include <cerrno>
#include <cstdio>
#include <span>

#include "cli/arguments.h"
#include "cli/help.h"
#include "cli/launch.h"
#include "cli/verb.h"

namespace doppel::cli {
namespace {

constexpr int kUsageCode = 2;
constexpr int kNotBuiltCode = 125;

int report(const Error& error, int failure) {
    std::fprintf(stderr, "doppel: %s\n", error.message().c_str());
    return error.kind == ErrorKind::kUsage ? kUsageCode : failure;
}

Error unknown_verb(const std::string& name, std::span<const Verb> among) {
    std::vector<std::string_view> names;
    for (const Verb& verb : among) names.push_back(verb.name);
    std::string cure = suggestion(name, names);
    return Error::usage(name, "no such verb", cure.empty() ? "doppel help lists the verbs" : cure);
}

Result<int> become_program(const Verb& verb, const Arguments& arguments) {
    std::vector<std::string> words{std::string(verb.name)};
    words.insert(words.end(), arguments.words().begin(), arguments.words().end());
    return fail(become(std::string(verb.program), words));
}

int run_verb(const Verb& verb, std::span<const std::string> words) {
    if (verb.state == State::kPlanned) return report(not_built(std::string(verb.name)), kNotBuiltCode);
    const auto arguments = Arguments::parse(verb, words);
    if (!arguments) return report(arguments.error(), kNotBuiltCode);
    if (arguments->help()) {
        std::fputs(help_for(verb).c_str(), stdout);
        return 0;
    }
    const auto code = verb.program.empty() ? verb.run(*arguments) : become_program(verb, *arguments);
    return code ? *code : report(code.error(), verb.failure);
}

// What another executable carries out is checked here only as far as the names of its verbs.
int run_passed(const Verb& verb, std::span<const std::string> words) {
    if (!words.empty() && !words[0].starts_with("-")) {
        const Verb* inner = find_verb(verb.verbs, words[0]);
        if (inner == nullptr) return report(unknown_verb(words[0], verb.verbs), verb.failure);
        if (inner->state == State::kPlanned)
            return report(not_built(std::string(verb.name) + " " + std::string(inner->name)), kNotBuiltCode);
        const std::vector<std::string> behind{"--"};
        std::vector<std::string> all(behind);
        all.insert(all.end(), words.begin(), words.end());
        return run_verb(verb, all);
    }
    if (words.empty())
        return report(Error::usage(std::string(verb.name), "its verb is missing",
                                   "doppel help " + std::string(verb.name) + " lists them"),
                      verb.failure);
    return run_verb(verb, words);
}

// The verb's own verb may stand before the options.
int run_outer(const Verb& verb, std::span<const std::string> words) {
    if (words.empty() || words[0].starts_with("-")) return run_verb(verb, words);
    if (find_verb(verb.verbs, words[0]) == nullptr) return report(unknown_verb(words[0], verb.verbs), kUsageCode);
    std::vector<std::string> all(words.begin() + 1, words.end());
    all.insert(all.end(), {"--", words[0]});
    return run_verb(verb, all);
}

int find_and_run(const std::vector<std::string>& words) {
    if (words.empty()) return report(Error::usage("", "a verb is missing", "doppel help lists them"), kUsageCode);
    std::string name = words[0];
    if (name == "--help" || name == "-h") name = "help";
    if (name == "--version" || name == "-V") name = "version";
    const Verb* verb = find_verb(verbs(), name);
    if (verb == nullptr) return report(unknown_verb(name, verbs()), kUsageCode);
    const auto rest = std::span(words).subspan(1);
    return verb->operands == Operands::kPassed ? run_passed(*verb, rest)
           : !verb->verbs.empty()              ? run_outer(*verb, rest)
                                               : run_verb(*verb, rest);
}

}  // namespace

int dispatch(const std::vector<std::string>& words) {
    const int code = find_and_run(words);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
        return report(Error::system("print", "standard output", errno), code == 0 ? 1 : code);
    return code;
}

}  // namespace doppel::cli
