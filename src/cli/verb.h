// Verbs and options, defined once: the parser, the help, the suggestions and the completions all read these tables.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::cli {

class Arguments;

// What CLI.md names but this build does not have yet is known, so that it is refused by name and never misread.
enum class State { kBuilt, kPlanned };

struct Option {
    std::string_view name;      // "--memory", or "-i" for one without a long name
    char letter = 0;            // 'm' for "-m"; 0: none
    std::string_view argument;  // empty: a flag; FILE and DIR complete as such; words parted by '|' are the choices;
                                // "[=FILE]": may be left out, and never is the next word
    std::string_view help;
    State state = State::kBuilt;
    bool repeats = false;

    constexpr bool value_may_be_left_out() const { return argument.starts_with("[="); }
    constexpr bool takes_next_word() const { return !argument.empty() && !value_may_be_left_out(); }
};

enum class Operands {
    kNone,
    kOne,
    kAny,
    kPassed
};  // kPassed: everything behind the verb goes to another executable unread

struct Verb {
    std::string_view name;
    std::string_view summary;
    State state = State::kPlanned;
    Operands operands = Operands::kNone;
    std::string_view operand_help;   // "WHAT [ARG...]"
    std::string_view operand_words;  // what completion offers for the first operand, parted by '|'
    bool operand_is_file = false;    // and whether it offers files, too
    std::span<const Option> options = {};
    std::span<const Verb> verbs = {};  // "image ls"; unless kPassed, they share `options` and are its operand
    std::string_view example;
    int failure = 1;                                 // the exit code when it fails
    Result<int> (*run)(const Arguments&) = nullptr;  // the exit code
    std::string_view program = {};                   // or the executable beside doppel that is called with all words
};

std::span<const Verb> verbs();
const Verb* find_verb(std::span<const Verb> among, std::string_view name);

// "did you mean run?", or empty when nothing is near. `among` are verbs' or options' names.
std::string suggestion(std::string_view wrong, std::span<const std::string_view> among);

// `verb` exists in name only.
Error not_built(std::string what);

}  // namespace doppel::cli
