#include "base/sizes.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

namespace doppel {

namespace {

constexpr std::string_view kUnits = "KMGT";

Error bad_size(std::string_view text, std::string_view option, std::string_view why) {
    return Error::usage(fmt::format("{} {}", option, text), std::string(why), "give a size like 512M or 2G");
}

// The shift of a unit's letter, -1 when it is none.
int shift_of(char letter) {
    size_t index = kUnits.find(letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter);
    return index == std::string_view::npos ? -1 : 10 * (static_cast<int>(index) + 1);
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text, std::string_view option) {
    uint64_t number = 0;
    const char* end = text.data() + text.size();
    auto [after, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc::result_out_of_range) return fail(bad_size(text, option, "it is too large"));
    if (error != std::errc{}) return fail(bad_size(text, option, "it is not a size"));
    if (after == end) return number;
    int shift = shift_of(*after);
    if (shift < 0 || after + 1 != end) return fail(bad_size(text, option, "it is not a size"));
    if (number > UINT64_MAX >> shift) return fail(bad_size(text, option, "it is too large"));
    return number << shift;
}

std::string format_size(uint64_t bytes) {
    size_t unit = 0;
    while (unit < kUnits.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    return unit == 0 ? std::to_string(bytes) : fmt::format("{}{}", bytes, kUnits[unit - 1]);
}

std::string format_size_rounded(uint64_t bytes) {
    if (bytes < 1024) return fmt::format("{} B", bytes);
    size_t unit = 0;
    uint64_t one = 1024;
    while (unit + 1 < kUnits.size() && bytes / one >= 1024) {
        one *= 1024;
        unit++;
    }
    return fmt::format("{}.{} {}iB", bytes / one, bytes % one * 10 / one, kUnits[unit]);
}

}  // namespace doppel
