// Sizes in bytes as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel {

// "4096", "512M", "1G": plain bytes, or a whole number of K, M, G or T (powers of 1024, either case). All else, and
// what exceeds 64 bits, is an error of kind usage; `option` names where the text came from ("--memory").
Result<uint64_t> parse_size(std::string_view text, std::string_view option);

// The shortest text that parse_size reads as exactly `bytes`: "1536M".
std::string format_size(uint64_t bytes);

// For reading only: "1.5 GiB", one decimal, rounded down.
std::string format_size_rounded(uint64_t bytes);

}  // namespace doppel
