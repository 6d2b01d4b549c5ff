// The initial RAM file system of the image "tiny".
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"

namespace doppel::image {

// A new file: busybox with a link for each of its commands, and an /init that ends in an interactive shell on the
// console. `greeting` is one line that the guest prints first. Not compressed: the guest would pay for it in
// instructions.
Result<> write_tiny_initrd(const std::filesystem::path& path, std::span<const uint8_t> busybox,
                           const std::string& greeting);

}  // namespace doppel::image
