// Whole files: read with a bound, written so that a failure or a crash leaves the old file or the new one, never a
// half.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel {

// Opens for reading, close-on-exec. `purpose` names the step in errors: "read kernel".
Result<UniqueFd> open_for_reading(const std::filesystem::path& path, std::string_view purpose);

// The same for a file whose content counts: a directory, a device or a FIFO is refused.
Result<UniqueFd> open_regular_file(const std::filesystem::path& path, std::string_view purpose);
// The whole content of an open file of at most `limit` bytes, from its beginning wherever it was read before. `path`
// names it in errors. Needs no access to the file system.
Result<std::vector<uint8_t>> read_whole(int fd, const std::filesystem::path& path, uint64_t limit,
                                        std::string_view purpose);
// The whole content of a regular file of at most `limit` bytes.
Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path, uint64_t limit, std::string_view purpose);

// Writes beside `path`, fsyncs, renames over it, fsyncs the directory. On failure the temporary file is removed.
Result<> write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> content,
                               unsigned mode = 0644);
Result<> write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

// Writes all of `content` to a descriptor, over short writes and EINTR; false with errno set on failure.
bool write_all(int fd, std::span<const uint8_t> content);

}  // namespace doppel
