#include "cli/arguments.h"

#include <algorithm>
#include <utility>

namespace doppel::cli {

// One pass over the words.
class Arguments::Reader {
  public:
    Reader(Arguments& into, std::span<const std::string> words) : into_(into), verb_(*into.verb_), words_(words) {}

    Result<> read() {
        while (at_ < words_.size() && !into_.help_) {
            const std::string& word = words_[at_];
            if (word == "--") {
                at_++;
                break;
            }
            if (word.size() < 2 || word[0] != '-') break;
            at_++;
            if (word[1] == '-')
                DOPPEL_CHECK(read_long(word));
            else
                DOPPEL_CHECK(read_letters(word));
        }
        if (into_.help_) return {};
        into_.operands_.assign(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
        return check();
    }

  private:
    Result<> read_long(const std::string& word) {
        const size_t equals = word.find('=');
        const std::string name = word.substr(0, equals);
        if (name == "--help") return into_.help_ = true, Result<>();
        const auto option = std::ranges::find(verb_.options, name, &Option::name);
        if (option == verb_.options.end()) return fail(unknown(name));
        if (equals == word.npos) return take(*option, std::nullopt);
        if (option->argument.empty()) return fail(Error::usage(name, "it takes no value"));
        return take(*option, word.substr(equals + 1));
    }

    Result<> read_letters(const std::string& word) {
        for (size_t i = 1; i < word.size(); i++) {
            if (word[i] == 'h') return into_.help_ = true, Result<>();
            const auto option = std::ranges::find(verb_.options, word[i], &Option::letter);
            if (option == verb_.options.end()) return fail(unknown("-" + word.substr(i, 1)));
            if (!option->takes_next_word()) {
                DOPPEL_CHECK(take(*option, std::nullopt));
                continue;
            }
            if (i + 1 < word.size()) return take(*option, word.substr(i + 1));
            return take(*option, std::nullopt);
        }
        return {};
    }

    Result<> take(const Option& option, std::optional<std::string> value) {
        if (option.takes_next_word() && !value) {
            if (at_ == words_.size())
                return fail(Error::usage(std::string(option.name), "its value is missing",
                                         "give " + std::string(option.argument)));
            value = words_[at_++];
        }
        if (!option.repeats && into_.has(option.name))
            return fail(Error::usage(std::string(option.name), "it is given twice"));
        into_.given_.push_back({&option, value.value_or(option.value_may_be_left_out() ? "-" : "")});
        return {};
    }

    Error unknown(const std::string& name) const {
        std::vector<std::string_view> names{"--help"};
        for (const Option& option : verb_.options) names.push_back(option.name);
        std::string cure = suggestion(name, names);
        if (cure.empty()) cure = "doppel " + std::string(verb_.name) + " --help lists the options";
        return Error::usage(name, "no such option", cure);
    }

    Result<> check() const {
        for (const Given& given : into_.given_)
            if (given.option->state == State::kPlanned)
                return fail(not_built(std::string(verb_.name) + " " + std::string(given.option->name)));
        const size_t count = into_.operands_.size();
        if (verb_.operands == Operands::kNone && count > 0)
            return fail(Error::usage(into_.operands_[0], "not expected here"));
        if (verb_.operands == Operands::kOne && count > 1)
            return fail(Error::usage(into_.operands_[1], "not expected here"));
        return {};
    }

    Arguments& into_;
    const Verb& verb_;
    std::span<const std::string> words_;
    size_t at_ = 0;
};

Result<Arguments> Arguments::parse(const Verb& verb, std::span<const std::string> words) {
    Arguments arguments(verb);
    arguments.words_.assign(words.begin(), words.end());
    DOPPEL_CHECK(Reader(arguments, words).read());
    return arguments;
}

std::optional<std::string> Arguments::value(std::string_view option) const {
    const auto given = std::ranges::find_if(given_, [&](const Given& g) { return g.option->name == option; });
    if (given == given_.end()) return std::nullopt;
    return given->value;
}

std::vector<std::string> Arguments::values(std::string_view option) const {
    std::vector<std::string> values;
    for (const Given& given : given_)
        if (given.option->name == option) values.push_back(given.value);
    return values;
}

}  // namespace doppel::cli
