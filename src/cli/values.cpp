#include "cli/values.h"

#include <charconv>
#include <limits>
#include <string>

namespace doppel::cli {
namespace {

constexpr std::string_view kUnits = "KMGT";

Error wrong(std::string_view option, std::string_view text, std::string_view what) {
    return Error::usage(std::string(option), std::string(text) + " is not " + std::string(what));
}

}  // namespace

Result<uint64_t> parse_count(std::string_view option, std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) return fail(wrong(option, text, "a number that fits"));
    if (error != std::errc{} || end != text.data() + text.size()) return fail(wrong(option, text, "a number"));
    return value;
}

Result<uint64_t> parse_size(std::string_view option, std::string_view text) {
    constexpr std::string_view kWhat = "a size such as 512M or 2G";
    unsigned shift = 0;
    std::string_view digits = text;
    if (!text.empty()) {
        const char last =
            text.back() >= 'a' && text.back() <= 'z' ? static_cast<char>(text.back() - 'a' + 'A') : text.back();
        if (const size_t unit = kUnits.find(last); unit != kUnits.npos) {
            shift = 10 * (static_cast<unsigned>(unit) + 1);
            digits.remove_suffix(1);
        }
    }
    const auto value = parse_count(option, digits);
    if (!value || *value > std::numeric_limits<uint64_t>::max() >> shift) return fail(wrong(option, text, kWhat));
    return *value << shift;
}

}  // namespace doppel::cli
