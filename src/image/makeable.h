// The images that `doppel image make` knows how to make, by name.
#pragma once

#include <sys/types.h>

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

// The number that whoever calls has in such a guest: the host's own where Debian gives it to people (policy, 9.2.2),
// else the first of those; root is root.
uid_t guest_uid();

}  // namespace doppel::image
