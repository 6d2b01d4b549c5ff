#include "translate/techniques.h"

#include <algorithm>
#include <array>

namespace doppel::translate {

namespace {

struct Technique {
    std::string_view name;
    bool Techniques::*is_on;
};
constexpr std::array kTechniques{
#define TECHNIQUE(member, name) Technique{name, &Techniques::member},
#include "translate/techniques.inc"
#undef TECHNIQUE
};

template <class Wanted>
std::string join(std::string_view separator, Wanted is_wanted) {
    std::string text;
    for (const Technique& technique : kTechniques) {
        if (is_wanted(technique)) text.append(text.empty() ? "" : separator).append(technique.name);
    }
    return text;
}

}  // namespace

std::optional<Techniques> techniques_without(std::string_view names) {
    Techniques techniques;
    if (names == "all") {
        for (const Technique& technique : kTechniques) techniques.*technique.is_on = false;
        return techniques;
    }
    while (!names.empty()) {
        const size_t comma = names.find(',');
        const auto found = std::ranges::find(kTechniques, names.substr(0, comma), &Technique::name);
        if (found == kTechniques.end()) return std::nullopt;
        techniques.*found->is_on = false;
        names = comma == names.npos ? "" : names.substr(comma + 1);
        if (comma != names.npos && names.empty()) return std::nullopt;
    }
    return techniques;
}

std::string names_without(const Techniques& techniques) {
    return join(",", [&](const Technique& technique) { return !(techniques.*technique.is_on); });
}

std::string technique_names() {
    return join(", ", [](const Technique&) { return true; });
}

}  // namespace doppel::translate
