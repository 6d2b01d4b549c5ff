// What makes the translator fast, and how to do without, so that each can be measured (bench/techniques).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace doppel::translate {

struct Techniques {
#define TECHNIQUE(member, name) bool member = true;
#include "translate/techniques.inc"
#undef TECHNIQUE
    bool operator==(const Techniques&) const = default;
};

// Without those that `names` lists, "windows,links"; "all" is every one, "" none. nullopt: some are no names.
std::optional<Techniques> techniques_without(std::string_view names);
// The names of what is off.
std::string names_without(const Techniques& techniques);
// All names, "windows, fused-compares".
std::string technique_names();

}  // namespace doppel::translate
