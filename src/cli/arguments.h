// A verb's command line, read by the verb's own table.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/verb.h"

namespace doppel::cli {

class Arguments {
  public:
    // Long options as "--name value" or "--name=value", letters as "-e value", "-evalue" or, for flags, "-it". Options
    // end at the first operand or at "--". A planned option is an error of kind kFailed, everything else wrong of kind
    // kUsage.
    static Result<Arguments> parse(const Verb& verb, std::span<const std::string> words);

    bool has(std::string_view option) const { return value(option).has_value(); }
    // The value as given; empty for a flag, and "-" where it may be left out and was.
    std::optional<std::string> value(std::string_view option) const;
    // Of an option that may be repeated: in the order given.
    std::vector<std::string> values(std::string_view option) const;
    const std::vector<std::string>& operands() const { return operands_; }
    const std::vector<std::string>& words() const { return words_; }  // all of them, as they came
    bool help() const { return help_; }                               // --help or -h: nothing else was checked
    const Verb& verb() const { return *verb_; }

  private:
    struct Given {
        const Option* option;
        std::string value;
    };
    class Reader;
    explicit Arguments(const Verb& verb) : verb_(&verb) {}

    const Verb* verb_;
    std::vector<Given> given_;
    std::vector<std::string> operands_;
    std::vector<std::string> words_;
    bool help_ = false;
};

}  // namespace doppel::cli
