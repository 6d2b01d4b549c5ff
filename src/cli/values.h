// The values of options that base does not read already (base/sizes.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace doppel::cli {

// Digits only. `option` is the subject of the error.
Result<uint64_t> parse_count(std::string_view text, std::string_view option);

}  // namespace doppel::cli
