// The system of an instance that was made of an image with a disk: a copy-on-write disk of its own in its folder, with
// links to the image's files beside it, so that nothing the catalog does later reaches it.
#pragma once

#include <filesystem>
#include <optional>

#include "base/result.h"
#include "image/catalog.h"
#include "machine/spec/disk_choice.h"

namespace doppel::cli {

// What make_own_system made in `folder`: its kernel and initrd are those of the image it was made of. Nothing where
// there is none, or no folder.
Result<std::optional<image::Image>> find_own_system(const std::filesystem::path& folder);

// All of it appears in one step: what is half made does not count, and is made anew. The caller holds the instance.
Result<std::optional<image::Image>> make_own_system(const image::Image& image, const std::filesystem::path& folder);

machine::DiskChoice own_disk(const std::filesystem::path& folder);

}  // namespace doppel::cli
