// From a path to a disk: formats by their content, backing chains, data files.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "storage/block_device.h"
#include "storage/io_context.h"
#include "storage/qcow2/image.h"

namespace doppel::storage::disk {

enum class Format { kRaw, kQcow2 };

struct OpenOptions {
    std::optional<Format> format;  // nothing: what the content says
    bool writable = false;
    bool share = false;    // take no locks: for a look at a disk that is in use
    bool backing = true;   // false: an image alone, without what it stands on
    bool repair = true;    // as qcow2::ImageOptions
    std::string snapshot;  // an internal snapshot of the top image
};

struct Disk {
    std::unique_ptr<BlockDevice> device;
    Format format = Format::kRaw;
    qcow2::Image* qcow2 = nullptr;  // `device`, where it is one
};

Result<Format> parse_format(std::string_view text);  // "raw", "qcow2"
std::string_view name_of(Format format);

// What a disk's first bytes say.
Result<Format> recognise(const std::filesystem::path& path);

// `io` outlives the disk. Backing disks are opened for reading; a loop of them, or more than kMaxChain, is an error.
// Where a raw disk was recognised, not named as such, nobody can turn it into an image by writing to it: a guest could
// name any file of the host as its backing disk.
inline constexpr unsigned kMaxChain = 200;
Task<Result<Disk>> open_disk(IoContext& io, std::filesystem::path path, OpenOptions options);

// A disk of one file that is open, and locked; `path` is its name in messages. Works in a confined process, and so an
// image that stands on others is an error. Of the options only the format and `writable` count.
Task<Result<Disk>> adopt_disk(IoContext& io, UniqueFd file, std::filesystem::path path, OpenOptions options);

// A file's name as it stands in an image: relative ones start at the image's folder. Addresses ("nbd://", "json:") are
// refused.
Result<std::filesystem::path> resolve_name(const std::filesystem::path& image, const std::string& name);

}  // namespace doppel::storage::disk
