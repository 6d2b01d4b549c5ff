// Whether an image's tables agree with each other, and making them agree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/block_device.h"
#include "storage/qcow2/format.h"

namespace doppel::storage::qcow2 {

enum class Repair { kNothing, kLeaks, kAll };

struct CheckOptions {
    Repair repair = Repair::kNothing;
};

struct CheckReport {
    uint64_t corruptions = 0, leaks = 0;                                   // found; of leaks each cluster counts
    uint64_t corruptions_fixed = 0, leaks_fixed = 0;                       // of them
    uint64_t clusters = 0, allocated = 0, fragmented = 0, compressed = 0;  // of the guest's disk
    uint64_t end = 0;                   // of what is in use, as an offset in the file
    std::vector<std::string> messages;  // the first of what was found
    uint64_t corruptions_left() const { return corruptions - corruptions_fixed; }
    uint64_t leaks_left() const { return leaks - leaks_fixed; }
};

// The file is not otherwise in use. Work and memory are bounded by the file's size, whatever it says. An error: it is
// no image, or cannot be read or written.
Task<Result<CheckReport>> check(BlockDevice& file, CheckOptions options);

}  // namespace doppel::storage::qcow2
