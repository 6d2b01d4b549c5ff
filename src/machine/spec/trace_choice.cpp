#include "machine/spec/trace_choice.h"

#include <algorithm>

#include "base/sizes.h"

namespace doppel::machine {

namespace {

constexpr std::string_view kLimit = ",limit=";

std::string known_kinds() {
    std::string words;
    for (const auto& [word, kind] : kTraceWords) words.append(words.empty() ? "" : ", ").append(word);
    return words;
}

Result<unsigned> kinds_from(std::string_view words) {
    unsigned kinds = 0;
    while (true) {
        const auto comma = words.find(',');
        const std::string_view word = words.substr(0, comma);
        const auto known = std::ranges::find(kTraceWords, word, &TraceWord::word);
        if (known == kTraceWords.end()) {
            const std::string why = word.empty() ? "a kind is missing" : std::string(word) + " is no kind of trace";
            return fail(Error::usage("--trace", why, "give " + known_kinds() + ", parted by commas, then =FILE"));
        }
        kinds |= known->kind;
        if (comma == words.npos) return kinds;
        words.remove_prefix(comma + 1);
    }
}

}  // namespace

Result<TraceChoice> trace_from(std::string_view text) {
    TraceChoice choice;
    const auto equals = text.find('=');
    DOPPEL_TRY(choice.kinds, kinds_from(text.substr(0, equals)));
    if (equals == text.npos) return choice;
    const std::string_view where = text.substr(equals + 1);
    const auto limit = where.rfind(kLimit);
    choice.path = where.substr(0, limit);
    if (choice.path.empty()) return fail(Error::usage("--trace", "a path is missing", "give KIND=FILE or KIND"));
    if (limit != where.npos) {
        DOPPEL_TRY(choice.limit, parse_size(where.substr(limit + kLimit.size()), "--trace limit"));
    }
    return choice;
}

std::string text_of(const TraceChoice& trace) {
    std::string text;
    for (const auto& [word, kind] : kTraceWords) {
        if ((trace.kinds & kind) != 0) text.append(text.empty() ? "" : ",").append(word);
    }
    text += "=" + trace.path;
    if (trace.limit) text.append(kLimit).append(format_size(*trace.limit));
    return text;
}

}  // namespace doppel::machine
