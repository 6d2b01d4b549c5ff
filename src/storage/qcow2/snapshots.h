// The internal snapshots of an image, which can be read and are kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/block_device.h"
#include "storage/qcow2/header.h"

namespace doppel::storage::qcow2 {

struct Snapshot {
    std::string id, name;
    uint64_t l1_offset = 0;
    uint32_t l1_entries = 0;
    uint32_t seconds = 0, nanoseconds = 0;  // when it was taken, since 1970
    uint64_t guest_nanoseconds = 0;         // how long the guest had run
    uint64_t vm_state_size = 0;             // bytes
    uint64_t disk_size = 0;                 // bytes; the image's own where the table does not say
};

// An entry's L1 table lies inside the file, aligned, of a bounded size.
Task<Result<std::vector<Snapshot>>> read_snapshots(BlockDevice& file, const Header& header);
// The bytes that the table takes, for counting the clusters in use.
Task<Result<uint64_t>> snapshot_table_bytes(BlockDevice& file, const Header& header);

}  // namespace doppel::storage::qcow2
