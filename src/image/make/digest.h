// SHA-256 of a file, by libcrypto.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "image/catalog.h"

namespace doppel::image {

// Size and digest of a regular file.
Result<ImageFile> measure_file(const std::filesystem::path& path);

}  // namespace doppel::image
