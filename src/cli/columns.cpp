#include "cli/columns.h"

#include <algorithm>

namespace doppel::cli {

std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows) {
    if (rows.empty()) return {};
    std::vector<size_t> widths;
    for (size_t i = 0; i < columns.size(); i++) {
        widths.push_back(columns[i].title.size());
        for (const auto& row : rows) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    const auto line = [&](const auto& cell) {
        for (size_t i = 0; i < columns.size(); i++) {
            const std::string content(cell(i));
            const std::string padding(widths[i] - content.size(), ' ');
            const bool last = i + 1 == columns.size();
            text += columns[i].right ? padding + content : last ? content : content + padding;
            text += last ? "\n" : "  ";
        }
    };
    line([&](size_t i) { return columns[i].title; });
    for (const auto& row : rows) line([&](size_t i) { return row[i]; });
    return text;
}

}  // namespace doppel::cli
