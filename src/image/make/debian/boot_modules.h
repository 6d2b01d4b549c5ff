// The modules of a kernel that a machine needs to find its root file system, and soon after.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/make/tiny_initrd.h"

namespace doppel::image {

// What a module says it needs: the names in "depends=" of its section .modinfo (Linux, scripts/mod/modpost.c). The
// module is untrusted, and not compressed.
std::vector<std::string> module_dependencies(std::span<const uint8_t> module);

// Those that `folder` (lib/modules/VERSION of a kernel) has of `names`, with all that they need in turn, not
// compressed. A name means the same with '-' for '_'. What is built into the kernel is not there, and not missed.
Result<std::vector<KernelModule>> collect_modules(const std::filesystem::path& folder,
                                                  std::span<const std::string_view> names);

}  // namespace doppel::image
