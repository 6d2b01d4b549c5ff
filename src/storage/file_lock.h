// Disk files are kept from two writers, and from a writer beside readers, in the way that QEMU does it, so that doppel
// and QEMU keep out of each other's disks, too: open-file-description locks on single bytes, of which each stands for a
// right that is used (from byte 100) or refused to others (from byte 200).
#pragma once

#include <filesystem>

#include "base/result.h"

namespace doppel::storage {

enum class Access { kRead, kWrite };

// The lock lasts as long as the open file description. `fd` is open for reading. Where the file system has no locks
// there is none. The error names who holds the file, where that can be found out.
Result<> lock_file(int fd, const std::filesystem::path& path, Access access);

}  // namespace doppel::storage
