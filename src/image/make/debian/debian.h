// The image "debian": a whole Debian system on a disk, its packages configured in a machine of doppel's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/catalog.h"
#include "image/make/apt_archive.h"
#include "image/make/debian/settings.h"
#include "image/makeable.h"
#include "image/stop.h"

namespace doppel::image {

inline constexpr uint64_t kDebianDiskSize = 16ull << 30;
inline constexpr uint64_t kDebianLeastSize = 1ull << 30;
inline constexpr uint64_t kDebianMostSize = 1ull << 44;

struct DebianOptions {
    ArchiveOptions archive{.suite = kDebianSuite};  // its architecture is that of the guest; only "riscv64" so far
    std::vector<std::string> packages{};            // beside its own
    uint64_t size = kDebianDiskSize;                // of the disk, in bytes, as the guest sees it
    DebianUser user{};
    std::filesystem::path agent{};     // doppel-agent for the guest; where there is none, made without it
    std::filesystem::path programs{};  // the folder with doppel-machine and doppel-disk
    bool refresh = false;              // make it anew although it is there
    StopRequest stop{};
    std::function<void()> waiting{};  // called once if another maker has to be waited for
};

// The image from the catalog; made first when it is missing, damaged, of another recipe, or to be refreshed. Two makers
// wait for each other. On failure the catalog is as it was; packages that were fetched stay for the next time
// (make/package_cache.h).
Result<Image> make_debian(const Catalog& catalog, const DebianOptions& options);

}  // namespace doppel::image
