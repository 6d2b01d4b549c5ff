// The image "tiny": a stock Debian kernel and a busybox shell in memory.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"
#include "image/catalog.h"
#include "image/make/apt_archive.h"
#include "image/makeable.h"
#include "image/stop.h"

namespace doppel::image {

struct TinyOptions {
    ArchiveOptions archive{};       // its architecture is that of the guest; only "riscv64" so far
    std::filesystem::path agent{};  // doppel-agent for the guest; where there is none, tiny is made without it
    bool refresh = false;           // make it anew although it is there
    StopRequest stop{};
    std::function<void()> waiting{};  // called once if another maker has to be waited for
};

// The image from the catalog; made first when it is missing, damaged, with another agent, or to be refreshed. Two
// makers wait for each other. On failure the catalog is as it was.
Result<Image> make_tiny(const Catalog& catalog, const TinyOptions& options);

}  // namespace doppel::image
