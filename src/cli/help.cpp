#include "cli/help.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/commands.h"

namespace doppel::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string_view>>;

// Two columns; a left side that is too wide has a line of its own.
std::string table(const Rows& rows) {
    constexpr size_t kWidest = 26;
    size_t width = 0;
    for (const auto& [left, right] : rows)
        if (left.size() <= kWidest) width = std::max(width, left.size());
    std::string text;
    for (const auto& [left, right] : rows) {
        text.append("  ").append(left);
        if (left.size() > width)
            text.append("\n").append(width + 4, ' ');
        else
            text.append(width + 2 - left.size(), ' ');
        text.append(right).append("\n");
    }
    return text;
}

std::string spelled(const Option& option) {
    const bool is_long = option.name.starts_with("--");
    std::string text = !is_long ? "" : option.letter != 0 ? std::string("-") + option.letter + ", " : "    ";
    text.append(option.name);
    if (option.takes_next_word()) text += ' ';
    text.append(option.argument);
    return text;
}

std::string verb_table(std::span<const Verb> among) {
    Rows rows;
    for (const Verb& verb : among)
        if (verb.state == State::kBuilt) rows.emplace_back(verb.name, verb.summary);
    return table(rows);
}

// Names in lines of at most 100 columns.
std::string paragraph(const std::vector<std::string_view>& names) {
    std::string text;
    size_t column = 0;
    for (const auto name : names) {
        if (column == 0 || column + name.size() > 100) {
            text += column == 0 ? "  " : "\n  ";
            column = 2;
        }
        text.append(name).append(" ");
        column += name.size() + 1;
    }
    return text + "\n";
}

template <class Table>
std::string planned(const Table& table) {
    std::vector<std::string_view> names;
    for (const auto& entry : table)
        if (entry.state == State::kPlanned) names.push_back(entry.name);
    return names.empty() ? "" : "\nKnown, but not built yet:\n" + paragraph(names);
}

}  // namespace

std::string help_for_doppel() {
    return "doppel runs machines, containers and foreign programs.\n\nUsage: doppel VERB [options] [NAME|WHAT] "
           "[args]\n\n" +
           verb_table(verbs()) + planned(verbs()) +
           "\nExample: doppel run tiny\n"
           "doppel help VERB explains a verb.\n";
}

std::string help_for(const Verb& verb) {
    std::string text(verb.summary);
    text.append("\n\nUsage: doppel ").append(verb.name);
    if (!verb.options.empty()) text.append(" [options]");
    if (!verb.operand_help.empty()) text.append(" ").append(verb.operand_help);
    text.append("\n\n");
    if (!verb.verbs.empty()) text.append(verb_table(verb.verbs)).append(planned(verb.verbs)).append("\n");
    Rows rows;
    for (const Option& option : verb.options)
        if (option.state == State::kBuilt) rows.emplace_back(spelled(option), option.help);
    rows.emplace_back("-h, --help", "this help");
    text += table(rows) + planned(verb.options);
    return text.append("\nExample: ").append(verb.example).append("\n");
}

Result<int> run_help(const Arguments& arguments) {
    if (arguments.operands().empty()) {
        std::fputs(help_for_doppel().c_str(), stdout);
        return 0;
    }
    const std::string& name = arguments.operands()[0];
    const Verb* verb = find_verb(verbs(), name);
    if (verb == nullptr) return fail(Error::usage(name, "no such verb", "doppel help lists the verbs"));
    if (verb->state == State::kPlanned) return fail(not_built(name));
    std::fputs(help_for(*verb).c_str(), stdout);
    return 0;
}

}  // namespace doppel::cli
