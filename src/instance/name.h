// What instances may be called.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::instance {

// Letters, digits, '.', '_' and '-', at most 64, a letter or digit first: what machine::Specification::name takes.
Result<> check_name(std::string_view name);

// A name for people that `taken` says false to: "quiet-otter".
std::string generated_name(const std::function<bool(const std::string&)>& taken);

// Which of `names` is meant: the one that is `wanted`, or the only one that begins with it.
Result<size_t> resolve_name(std::string_view wanted, const std::vector<std::string>& names);

std::string new_id();  // 16 hexadecimal digits

}  // namespace doppel::instance
