// One file out of one package of the Debian archive, verified: tools that tests and benchmarks need in a newer version
// than the host's.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "image/make/apt_archive.h"
#include "image/stop.h"

namespace doppel::image {

struct FetchOptions {
    ArchiveOptions archive{};  // an empty architecture means that of the host's dpkg
    std::string package{};
    std::string member{};                 // its path in the package, without "/" in front
    std::filesystem::path destination{};  // replaced in one step, mode 0755; its directory is created
    StopRequest stop{};
};

// Returns the package's version.
Result<std::string> fetch_file(const FetchOptions& options);

}  // namespace doppel::image
