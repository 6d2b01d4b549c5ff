// A root file system as a disk, by the host's tools.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "image/stop.h"

namespace doppel::image {

// A random one, as text.
Result<std::string> new_uuid();

// A raw disk of `size` bytes at `disk` (a new, sparse file) with an ext4 file system of what `tree` holds, all of it
// root's, by mke2fs (e2fsprogs), for any user: one who is not root becomes it in a user namespace.
Result<> make_ext4(const std::filesystem::path& tree, const std::filesystem::path& disk, uint64_t size,
                   const std::string& uuid, const StopRequest& stop = {});

// By doppel's own program, whose path is `doppel_disk`. Formats are "raw" and "qcow2".
struct DiskFile {
    std::filesystem::path path;
    std::string format;
};
Result<> convert_disk(const std::filesystem::path& doppel_disk, const DiskFile& from, const DiskFile& to,
                      const StopRequest& stop = {});

// Index of the modules of kernel `version` in a tree, by depmod (kmod), which reads modules of every architecture.
Result<> index_modules(const std::filesystem::path& tree, const std::string& version, const StopRequest& stop = {});

}  // namespace doppel::image
