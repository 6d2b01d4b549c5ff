// New qcow2 images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/block_device.h"
#include "storage/qcow2/format.h"

namespace doppel::storage::qcow2 {

struct CreateOptions {
    uint64_t size = 0;  // bytes of the disk; any number, as the guest may see only whole sectors of it
    uint32_t version = 3;
    uint32_t cluster_size = 65536;
    uint32_t refcount_bits = 16;
    bool lazy_refcounts = false;
    bool extended_l2 = false;
    bool raw_data_file = false;
    Compression compression = Compression::kDeflate;
    std::optional<std::string> backing_file, backing_format, data_file;
};

// Says what cannot be, as errors of kind usage.
Result<> check_options(const CreateOptions& options);

// Writes an image in which nothing is allocated over the beginning of `file`, which is otherwise empty.
Task<Result<>> create(BlockDevice& file, CreateOptions options);

}  // namespace doppel::storage::qcow2
