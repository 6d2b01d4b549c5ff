// The packages that were fetched for images: a folder of .deb files, shared by all builds, bounded.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace doppel::image {

inline constexpr uint64_t kPackageCacheLimit = 1ull << 30;  // bytes of whole packages

// Removes what was used longest ago until the rest takes at most `limit` bytes. What is half fetched stays, for apt to
// go on with. Who calls it holds the lock of the images (image/lock.h).
Result<> trim_package_cache(const std::filesystem::path& folder, uint64_t limit = kPackageCacheLimit);

}  // namespace doppel::image
