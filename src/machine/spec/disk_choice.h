// One --disk option: a disk of the host that the guest sees as a virtio block device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::machine {

enum class DiskFormat { kRaw, kQcow2 };

// What passes a second in the long run, and at once after a rest; 0: no limit, a tenth of a second's worth.
struct DiskLimit {
    uint64_t rate = 0;
    uint64_t burst = 0;
    bool operator==(const DiskLimit&) const = default;
};

struct DiskChoice {
    std::string path;
    std::optional<DiskFormat> format;  // nothing: what the file's content says
    bool read_only = false;            // the guest cannot write to it
    bool snapshot = false;             // what the guest writes is gone when the machine ends
    DiskLimit requests, bytes;
    std::string serial;  // what the guest is told of: at most kMaxDiskSerial characters of ASCII, no spaces or commas
    bool operator==(const DiskChoice&) const = default;
};
inline constexpr size_t kMaxDisks = 16;
inline constexpr size_t kMaxDiskSerial = 20;  // virtio 1.2, 5.2.6

// FILE[,format=raw|qcow2][,ro][,snapshot][,iops=N][,iops-burst=N][,bps=SIZE][,bps-burst=SIZE][,serial=TEXT]; a comma of
// the file's name stands twice. Errors are of kind usage and name --disk.
Result<DiskChoice> disk_from(std::string_view text);
std::string text_of(const DiskChoice& disk);

// What `disk_from` does not see: values that exclude each other.
Result<> validate(const DiskChoice& disk);

}  // namespace doppel::machine
