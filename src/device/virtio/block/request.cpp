#include "device/virtio/block/request.h"

#include <linux/virtio_blk.h>

#include <array>

#include "base/byte_order.h"

namespace doppel::device::virtio::block {

namespace {

constexpr uint64_t kHeader = 16;     // type, reserved, sector
constexpr uint64_t kRangeSize = 16;  // virtio_blk_discard_write_zeroes

bool inside(const DiskShape& disk, uint64_t sector, uint64_t bytes) {
    return sector <= disk.bytes / kSector && bytes <= disk.bytes - sector * kSector;
}

Verdict understand_transfer(Request& request, uint64_t sector, const DiskShape& disk) {
    const bool reads = request.operation == Operation::kRead;
    if (!reads && disk.read_only) return Verdict::kFailed;
    const uint64_t begin = reads ? 0 : kHeader;
    const uint64_t length = reads ? request.room() : request.chain.readable_bytes() - kHeader;
    if (length % kSector != 0 || !inside(disk, sector, length)) return Verdict::kFailed;
    request.offset = sector * kSector;
    const bool found = reads ? request.chain.find_writable(begin, length, request.parts)
                             : request.chain.find_readable(begin, length, request.parts);
    return found ? Verdict::kGood : Verdict::kFailed;
}

Verdict understand_range(Request& request, uint64_t at, const DiskShape& disk) {
    std::array<uint8_t, kRangeSize> raw{};
    if (!request.chain.read(at, raw)) return Verdict::kFailed;
    const auto sector = load_le<uint64_t>(raw.data());
    const auto sectors = load_le<uint32_t>(&raw[8]), flags = load_le<uint32_t>(&raw[12]);
    // 5.2.6.2: a discard has no flags, write-zeroes the one.
    const uint32_t known = request.operation == Operation::kWriteZeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
    if ((flags & ~known) != 0) return Verdict::kUnsupported;
    if (sectors > kMaxRangeSectors || !inside(disk, sector, sectors * kSector)) return Verdict::kFailed;
    if (sectors > 0) request.ranges.push_back({sector * kSector, sectors * kSector, flags != 0});
    return Verdict::kGood;
}

Verdict understand_ranges(Request& request, const DiskShape& disk) {
    if (disk.read_only) return Verdict::kFailed;
    const uint64_t length = request.chain.readable_bytes() - kHeader;
    if (length == 0 || length % kRangeSize != 0 || length / kRangeSize > kMaxRanges) return Verdict::kFailed;
    for (uint64_t at = kHeader; at < kHeader + length; at += kRangeSize) {
        const Verdict verdict = understand_range(request, at, disk);
        if (verdict != Verdict::kGood) return verdict;
    }
    return Verdict::kGood;
}

}  // namespace

Verdict understand(Request& request, const DiskShape& disk) {
    std::array<uint8_t, kHeader> header{};
    if (request.chain.writable_bytes() == 0 || !request.chain.read(0, header)) return Verdict::kNoRequest;
    const auto sector = load_le<uint64_t>(&header[8]);
    switch (load_le<uint32_t>(header.data())) {
        case VIRTIO_BLK_T_IN:
            request.operation = Operation::kRead;
            return understand_transfer(request, sector, disk);
        case VIRTIO_BLK_T_OUT:
            request.operation = Operation::kWrite;
            return understand_transfer(request, sector, disk);
        case VIRTIO_BLK_T_FLUSH:
            request.operation = Operation::kFlush;
            return Verdict::kGood;
        case VIRTIO_BLK_T_GET_ID:
            request.operation = Operation::kIdentify;
            return request.room() < VIRTIO_BLK_ID_BYTES ? Verdict::kFailed : Verdict::kGood;
        case VIRTIO_BLK_T_DISCARD:
            request.operation = Operation::kDiscard;
            return understand_ranges(request, disk);
        case VIRTIO_BLK_T_WRITE_ZEROES:
            request.operation = Operation::kWriteZeroes;
            return understand_ranges(request, disk);
        default:
            return Verdict::kUnsupported;
    }
}

}  // namespace doppel::device::virtio::block
