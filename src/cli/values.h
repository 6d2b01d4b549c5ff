// The values of options: one reader for each kind.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace doppel::cli {

// Digits, then nothing or one of K, M, G, T (either case): bytes. `option` is the subject of the error.
Result<uint64_t> parse_size(std::string_view option, std::string_view text);
// Digits only.
Result<uint64_t> parse_count(std::string_view option, std::string_view text);

}  // namespace doppel::cli
