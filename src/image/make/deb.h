// Single files out of a Debian package (deb(5): an ar archive with a compressed tar archive in it), by libarchive, as a
// stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/stop.h"

namespace doppel::image {

// Against packages that unpack to more than they should; bytes, decompressed.
struct DebLimits {
    uint64_t file = 512ull << 20;  // of a file taken out
    uint64_t passed = 8ull << 30;  // of everything in front of it
};

// Writes the first regular file whose path (no "./" or "/" in front) `wanted` accepts to `destination`, a new file of
// mode 0644, and returns its path in the package. Reads no further than that. The package is untrusted; on failure
// there is no `destination`. Thread-safe.
Result<std::string> extract_from_deb(const std::filesystem::path& deb,
                                     const std::function<bool(std::string_view)>& wanted,
                                     const std::filesystem::path& destination, const StopRequest& stop = {},
                                     const DebLimits& limits = {});

// The content of every file that `wanted` accepts, by its path, in one pass over the whole package.
Result<std::map<std::string, std::vector<uint8_t>>> read_from_deb(const std::filesystem::path& deb,
                                                                  const std::function<bool(std::string_view)>& wanted,
                                                                  const StopRequest& stop = {},
                                                                  const DebLimits& limits = {});

}  // namespace doppel::image
