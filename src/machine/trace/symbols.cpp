#include "machine/trace/symbols.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace doppel::machine::trace {

namespace {

// A label without a size says nothing of what lies this far behind it.
constexpr uint64_t kFarthest = 64 << 10;  // bytes
constexpr size_t kLongestName = 1024;     // a hostile file has longer ones

std::string name_in(const boot::SymbolTable& table, uint64_t address) {
    const auto symbol = table.at(address);
    if (!symbol) return {};
    const uint64_t offset = address - symbol->address;
    if (symbol->size == 0 && offset > kFarthest) return {};
    std::string name = printable(std::string(symbol->name.substr(0, kLongestName)));
    return offset == 0 ? name : fmt::format("{}+{:#x}", name, offset);
}

}  // namespace

void Symbols::add(boot::SymbolTable table, std::vector<uint64_t> biases) {
    if (table.size() > 0) loaded_.push_back({std::move(table), std::move(biases)});
}

std::string Symbols::name(uint64_t address) const {
    for (const auto& [table, biases] : loaded_) {
        for (uint64_t bias : biases) {
            if (std::string name = name_in(table, address - bias); !name.empty()) return name;
        }
    }
    return {};
}

}  // namespace doppel::machine::trace
