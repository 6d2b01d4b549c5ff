// The images that `doppel image make` knows how to make, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace doppel::image {

inline constexpr const char* kTinyName = "tiny";
inline constexpr const char* kDebianName = "debian";
inline constexpr const char* kDebianSuite = "trixie";  // of "debian" without a suite

// "debian" or "debian:SUITE": the suite, in which "debian" is kDebianSuite's; nothing for other names.
std::optional<std::string> debian_suite(std::string_view name);
// The name of a suite's image: "debian" for kDebianSuite, else "debian:SUITE".
std::string debian_name(std::string_view suite);

// The one name of what `name` means ("debian" for "debian:trixie"); nothing when it is none of them.
std::optional<std::string> makeable(std::string_view name);

}  // namespace doppel::image
