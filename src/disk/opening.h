// What the verbs share: a context for input and output, disks opened as options say.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "disk/format_options.h"
#include "storage/disk/open_disk.h"
#include "storage/io_context.h"

namespace doppel::disk {

// Opens a disk; an empty `format` means what the content says.
Result<storage::disk::Disk> open(storage::IoContext& io, const std::string& file, const std::string& format,
                                 storage::disk::OpenOptions options);

// Makes a disk of that format in a new file and opens it for writing.
struct NewDisk {
    storage::disk::Format format = storage::disk::Format::kRaw;
    uint64_t size = 0;
    FormatOptions options;
};
Result<storage::disk::Disk> make(storage::IoContext& io, const std::filesystem::path& file, const NewDisk& wanted);

// Brings a disk to rest; `subject` names it in errors.
Result<> close(storage::IoContext& io, storage::BlockDevice& device, const std::string& subject);

}  // namespace doppel::disk
