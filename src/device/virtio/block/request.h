// A request to a block device, out of a chain that a hostile driver made (virtio 1.2, 5.2.6).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "device/virtio/queue.h"
#include "storage/block_device.h"

namespace doppel::device::virtio::block {

inline constexpr uint64_t kSector = 512;  // the unit of all addresses and lengths
inline constexpr uint32_t kMaxRangeSectors = 1 << 21;
inline constexpr uint32_t kMaxRanges = 64;

enum class Operation : uint8_t { kRead, kWrite, kFlush, kIdentify, kDiscard, kWriteZeroes };

struct Range {
    uint64_t offset;  // bytes
    uint64_t length;
    bool may_unmap;
};

// Keeps everything that storage is pointed to until it is done.
struct Request {
    Request(Chain its_chain, unsigned its_queue) : chain(std::move(its_chain)), queue(its_queue) {}

    Chain chain;
    unsigned queue;
    Operation operation = Operation::kFlush;
    uint64_t offset = 0;        // of kRead and kWrite, in bytes
    std::vector<iovec> parts;   // theirs, in guest memory
    std::vector<Range> ranges;  // of kDiscard and kWriteZeroes
    bool retried = false;       // there was no room for it before
    storage::Status status;     // once storage is done

    // Bytes of the writable part but the status, which is its last byte.
    uint64_t room() const { return chain.writable_bytes() - 1; }
};

// What is asked of a disk.
struct DiskShape {
    uint64_t bytes;  // whole sectors
    bool read_only;
};

enum class Verdict {
    kGood,         // to be carried out
    kFailed,       // VIRTIO_BLK_S_IOERR
    kUnsupported,  // VIRTIO_BLK_S_UNSUPP
    kNoRequest,    // no header or no room for a status: nothing can be answered
};

// Fills in the request by its chain. Every field is fetched once.
Verdict understand(Request& request, const DiskShape& disk);

}  // namespace doppel::device::virtio::block
