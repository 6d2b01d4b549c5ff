#include "machine/boot/command_line.h"

namespace doppel::machine::boot {

namespace {

// Where the word "--" begins, or the end.
size_t end_of_kernels_part(std::string_view line) {
    bool quoted = false, at_word = true;
    for (size_t i = 0; i < line.size(); i++) {
        if (line[i] == '"') quoted = !quoted;
        const bool blank = !quoted && line[i] == ' ';
        if (at_word && line.substr(i, 2) == "--" && (i + 2 == line.size() || line[i + 2] == ' ')) return i;
        at_word = blank;
    }
    return line.size();
}

}  // namespace

std::string with_parameters(std::string_view line, std::string_view parameters) {
    const size_t end = end_of_kernels_part(line);
    std::string text(line.substr(0, end));
    for (std::string_view part : {parameters, line.substr(end)}) {
        if (!text.empty() && !part.empty() && text.back() != ' ') text += ' ';
        text += part;
    }
    return text;
}

}  // namespace doppel::machine::boot
