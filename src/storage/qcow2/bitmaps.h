// The dirty bitmaps that an image carries for backup programs. They are kept and shown; those that should follow every
// change are marked as incomplete when doppel changes the disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/block_device.h"
#include "storage/qcow2/header.h"

namespace doppel::storage::qcow2 {

struct Bitmap {
    static constexpr uint32_t kInUse = 1, kAuto = 2;
    std::string name;
    uint64_t entry_offset = 0;  // of its entry of the directory, in the file
    uint64_t table_offset = 0;
    uint32_t table_entries = 0;
    uint32_t flags = 0;
    uint8_t type = 0;
    uint8_t granularity_bits = 0;
};

// Of an image that has the extension, be it consistent or not.
Task<Result<std::vector<Bitmap>>> read_bitmaps(BlockDevice& file, const Header& header);

// A bitmap that should follow changes is incomplete from now on: sets its flag. Durable when done.
Task<Status> mark_bitmaps_in_use(BlockDevice& file, const Header& header);

}  // namespace doppel::storage::qcow2
