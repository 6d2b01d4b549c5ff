#include "cli/completion.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cli/commands.h"

namespace doppel::cli {
namespace {

bool is_file(const Option& option) {
    return option.argument == "FILE" || option.argument.starts_with("FILE[,") || option.argument == "DIR" ||
           option.argument == "DIR|off";
}

// A long name and a letter.
bool has_both(const Option& option) {
    return option.name.starts_with("--") && option.letter != 0;
}

// The choices of an option or operand, by spaces: "stdio file: pty socket: none". Empty when it has none. What may
// follow a choice stands in brackets.
std::string choices(std::string_view words) {
    std::string text;
    if (words.empty() || (words[0] >= 'A' && words[0] <= 'Z')) return text;  // a kind of value, not a word to type
    while (!words.empty()) {
        const size_t bar = std::min(words.find('|'), words.size());
        std::string_view word = words.substr(0, bar);
        if (const size_t colon = word.find(':'); colon != word.npos) word = word.substr(0, colon + 1);
        word = word.substr(0, word.find('['));
        text.append(text.empty() ? "" : " ").append(word);
        words.remove_prefix(std::min(bar + 1, words.size()));
    }
    return text;
}

template <class Table>
std::vector<const typename Table::value_type*> built(const Table& table) {
    std::vector<const typename Table::value_type*> entries;
    for (const auto& entry : table)
        if (entry.state == State::kBuilt) entries.push_back(&entry);
    return entries;
}

std::string names(std::span<const Verb> verbs) {
    std::string text;
    for (const Verb* verb : built(verbs)) text.append(text.empty() ? "" : " ").append(verb->name);
    return text;
}

// Inside single quotes of any shell here; the tables' texts have no backslash.
std::string quoted(std::string_view text) {
    std::string safe = "'";
    for (const char c : text) {
        if (c == '\'')
            safe += "'\\''";
        else
            safe += c;
    }
    return safe + "'";
}

std::string bash_words(const std::string& words, const char* indent) {
    return std::string(indent) + "mapfile -t COMPREPLY < <(compgen -W " + quoted(words) + " -- \"$word\")\n";
}

std::string bash_values(const Verb& verb) {
    std::string text;
    for (const Option* option : built(verb.options)) {
        if (!option->takes_next_word()) continue;
        text.append("        ").append(option->name);
        if (has_both(*option)) text.append("|-").append(1, option->letter);
        text.append(")\n");
        if (is_file(*option))
            text += "            _doppel_files\n";
        else if (const auto words = choices(option->argument); !words.empty())
            text += bash_words(words, "            ");
        text += "            return ;;\n";
    }
    return text.empty() ? "" : "        case $previous in\n" + text + "        esac\n";
}

// The command that lists the instances that the verb takes; empty: it takes none.
std::string instances(const Verb& verb) {
    const bool takes = verb.operand_help.starts_with("NAME") || verb.operand_help.starts_with("[NAME]") ||
                       verb.operand_help.starts_with("[NAME...]");
    if (!takes || verb.program.empty()) return {};
    return verb.name == "undelete" || verb.name == "purge" ? " ls -q --deleted 2>/dev/null" : " ls -q 2>/dev/null";
}

std::string bash_verb(const Verb& verb) {
    std::string options = "--help";
    for (const Option* option : built(verb.options)) options.append(" ").append(option->name);
    std::string text = "    " + std::string(verb.name) + ")\n" + bash_values(verb);
    text += "        if [[ $word == -* ]]; then\n" + bash_words(options, "            ") +
            "            return\n        fi\n";
    if (!verb.verbs.empty()) {
        text += "        if ((COMP_CWORD == 2)); then\n" + bash_words(names(verb.verbs), "            ") +
                "            return\n        fi\n";
        text += "        case ${COMP_WORDS[2]} in\n";
        for (const Verb* inner : built(verb.verbs)) {
            if (inner->operand_words.empty() && !inner->operand_is_file) continue;
            text += "        " + std::string(inner->name) + ")\n";
            text += inner->operand_is_file ? "            _doppel_files\n"
                                           : bash_words(choices(inner->operand_words), "            ");
            text += "            ;;\n";
        }
        text += "        esac\n";
    }
    if (verb.operand_is_file) text += "        _doppel_files\n";
    if (const auto list = instances(verb); !list.empty())
        text += "        COMPREPLY+=($(compgen -W \"$(\"${COMP_WORDS[0]}\"" + list + ")\" -- \"$word\"))\n";
    if (!verb.operand_words.empty())
        text += "        COMPREPLY+=($(compgen -W " + quoted(choices(verb.operand_words)) + " -- \"$word\"))\n";
    return text + "        ;;\n";
}

// The characters that part the fields of an _arguments specification.
std::string zsh_text(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        if (c == ':' || c == '[' || c == ']') safe += '\\';
        safe += c;
    }
    return safe;
}

std::string zsh_action(const Option& option) {
    if (is_file(option)) return "_files";
    const auto words = choices(option.argument);
    return words.empty() ? " " : "(" + zsh_text(words) + ")";
}

std::string zsh_option(const Option& option) {
    const std::string help = "[" + zsh_text(option.help) + "]";
    const std::string argument = !option.takes_next_word() ? "" : ":value:" + zsh_action(option);
    std::string text = " \\\n            " + quoted(std::string(option.name) + help + argument);
    if (has_both(option)) text += " \\\n            " + quoted(std::string("-") + option.letter + help + argument);
    return text;
}

std::string zsh_verb(const Verb& verb) {
    std::string text =
        "    " + std::string(verb.name) + ")\n        _arguments -s -A '-*' " + quoted("--help[this help]");
    for (const Option* option : built(verb.options)) text += zsh_option(*option);
    if (!verb.verbs.empty()) {
        text += " \\\n            " + quoted("1:verb:(" + names(verb.verbs) + ")");
        for (const Verb* inner : built(verb.verbs)) {
            if (!inner->operand_words.empty())
                text += " \\\n            " + quoted("2:name:(" + choices(inner->operand_words) + ")");
        }
        if (std::ranges::any_of(verb.verbs, &Verb::operand_is_file))
            text += " \\\n            " + quoted("*:file:_files");
    }
    if (const auto list = instances(verb); !list.empty())
        text += " \\\n            " + quoted("*:instance:{compadd -- ${(f)\"$(doppel" + list + ")\"}}");
    const std::string words = choices(verb.operand_words);
    if (verb.operand_is_file)
        text +=
            " \\\n            " + quoted("1:what:{_alternative 'images:image:(" + words + ")' 'files:file:_files'}");
    else if (!words.empty())
        text += " \\\n            " + quoted("1:what:(" + words + ")");
    return text + "\n        ;;\n";
}

std::string fish_option(const Verb& verb, const Option& option) {
    std::string text = "complete -c doppel -n '__fish_seen_subcommand_from " + std::string(verb.name) + "'";
    if (option.name.starts_with("--")) text.append(" -l ").append(option.name.substr(2));
    if (option.letter != 0) text.append(" -s ").append(1, option.letter);
    if (is_file(option))
        text += " -r -F";
    else if (option.takes_next_word())
        text += " -x";
    if (const auto words = choices(option.argument); !words.empty() && !is_file(option)) text += " -a " + quoted(words);
    return text + " -d " + quoted(option.help) + "\n";
}

std::string fish_verb(const Verb& verb) {
    const std::string seen = "complete -c doppel -n '__fish_seen_subcommand_from " + std::string(verb.name) + "'";
    std::string text = "complete -c doppel -n __fish_use_subcommand -a " + std::string(verb.name) + " -d " +
                       quoted(verb.summary) + "\n";
    for (const Option* option : built(verb.options)) text += fish_option(verb, *option);
    if (verb.operand_is_file) text += seen + " -F\n";
    if (const auto list = instances(verb); !list.empty()) text += seen + " -a " + quoted("(doppel" + list + ")") + "\n";
    if (const auto words = choices(verb.operand_words); !words.empty()) text += seen + " -a " + quoted(words) + "\n";
    for (const Verb* inner : built(verb.verbs)) {
        text += seen + " -a " + std::string(inner->name) + " -d " + quoted(inner->summary) + "\n";
        if (const auto words = choices(inner->operand_words); !words.empty())
            text += "complete -c doppel -n '__fish_seen_subcommand_from " + std::string(verb.name) +
                    "; and __fish_seen_subcommand_from " + std::string(inner->name) + "' -a " + quoted(words) + "\n";
        if (inner->operand_is_file)
            text += "complete -c doppel -n '__fish_seen_subcommand_from " + std::string(verb.name) +
                    "; and __fish_seen_subcommand_from " + std::string(inner->name) + "' -F\n";
    }
    return text;
}

}  // namespace

std::string bash_completion(std::span<const Verb> verbs) {
    std::string text =
        "# bash completion for doppel: source <(doppel completion bash)\n"
        "_doppel_files() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
        "}\n"
        "_doppel() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n" +
        bash_words(names(verbs), "        ") +
        "        return\n"
        "    fi\n"
        "    case ${COMP_WORDS[1]} in\n";
    for (const Verb* verb : built(verbs)) text += bash_verb(*verb);
    return text + "    esac\n}\ncomplete -F _doppel doppel\n";
}

std::string zsh_completion(std::span<const Verb> verbs) {
    std::string text =
        "#compdef doppel\n"
        "# zsh completion for doppel: doppel completion zsh > ~/.zfunc/_doppel\n"
        "_doppel() {\n"
        "    local -a verbs\n"
        "    verbs=(\n";
    for (const Verb* verb : built(verbs))
        text += "        " + quoted(std::string(verb->name) + ":" + zsh_text(verb->summary)) + "\n";
    text +=
        "    )\n"
        "    if ((CURRENT == 2)); then\n"
        "        _describe verb verbs\n"
        "        return\n"
        "    fi\n"
        "    local verb=$words[2]\n"
        "    shift words\n"
        "    ((CURRENT--))\n"
        "    case $verb in\n";
    for (const Verb* verb : built(verbs)) text += zsh_verb(*verb);
    return text +
           "    esac\n}\n"
           "if [[ $funcstack[1] == _doppel ]]; then _doppel \"$@\"; else compdef _doppel doppel; fi\n";
}

std::string fish_completion(std::span<const Verb> verbs) {
    std::string text =
        "# fish completion for doppel: doppel completion fish > ~/.config/fish/completions/doppel.fish\n"
        "complete -c doppel -f\n"
        "complete -c doppel -s h -l help -d 'this help'\n";
    for (const Verb* verb : built(verbs)) text += fish_verb(*verb);
    return text;
}

Result<int> run_completion(const Arguments& arguments) {
    const std::string shell = arguments.operands().empty() ? "" : arguments.operands()[0];
    std::string script;
    if (shell == "bash") script = bash_completion(verbs());
    if (shell == "zsh") script = zsh_completion(verbs());
    if (shell == "fish") script = fish_completion(verbs());
    if (script.empty())
        return fail(Error::usage(shell.empty() ? "completion" : shell, "no such shell", "give bash, zsh or fish"));
    std::fputs(script.c_str(), stdout);
    return 0;
}

}  // namespace doppel::cli
