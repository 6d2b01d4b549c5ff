#include "cli/values.h"

#include <charconv>
#include <string>

namespace doppel::cli {

Result<uint64_t> parse_count(std::string_view text, std::string_view option) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range)
        return fail(Error::usage(std::string(option), std::string(text) + " is too large a number"));
    if (error != std::errc{} || end != text.data() + text.size())
        return fail(Error::usage(std::string(option), std::string(text) + " is not a number"));
    return value;
}

}  // namespace doppel::cli
