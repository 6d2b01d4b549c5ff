// Tables on the terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace doppel::cli {

struct Column {
    std::string_view title;
    bool right = false;  // numbers
};

// A line of titles and a line for each row, as wide as need be, with line ends; empty without rows. Each row has a cell
// for each column.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows);

}  // namespace doppel::cli
