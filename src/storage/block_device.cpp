#include "storage/block_device.h"

#include <algorithm>
#include <array>

#include "storage/at_once.h"

namespace doppel::storage {

bool BlockDevice::inside(uint64_t offset, uint64_t length) const {
    const uint64_t end = grows() ? INT64_MAX : size();
    return offset <= end && length <= end - offset;
}

Status BlockDevice::check_write(uint64_t offset, uint64_t length) const {
    if (read_only()) return kReadOnly;
    return inside(offset, length) ? kOk : kOutOfRange;
}

Task<Status> BlockDevice::read(uint64_t offset, Buffers to) {
    if (!inside(offset, to.size())) return ready(kOutOfRange);
    if (to.empty()) return ready(kOk);
    return do_read(offset, to);
}

Task<Status> BlockDevice::write(uint64_t offset, Buffers from) {
    const Status status = check_write(offset, from.size());
    if (!status.ok() || from.empty()) return ready(status);
    return do_write(offset, from);
}

Task<Status> BlockDevice::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    const Status status = check_write(offset, length);
    if (!status.ok() || length == 0) return ready(status);
    return do_write_zeroes(offset, length, may_unmap);
}

Task<Status> BlockDevice::discard(uint64_t offset, uint64_t length) {
    const Status status = check_write(offset, length);
    if (!status.ok() || length == 0) return ready(status);
    return do_discard(offset, length);
}

Task<Status> BlockDevice::flush() {
    if (read_only()) return ready(kOk);
    return do_flush();
}

Task<Result<Extent>> BlockDevice::extent(uint64_t offset, uint64_t length) {
    if (length == 0 || !inside(offset, length))
        return ready<Result<Extent>>(fail(Error{"map disk", name(), "the range lies beyond its end", ""}));
    return do_extent(offset, length);
}

Task<Result<>> BlockDevice::resize(uint64_t, Preallocation) {
    return ready<Result<>>(fail(Error{"resize disk", name(), "a disk of this kind keeps its size", ""}));
}

Task<Status> write_zeroes_as_data(BlockDevice& device, uint64_t offset, uint64_t length) {
    static constexpr std::array<uint8_t, 65536> kZeroes{};
    constexpr size_t kParts = 16, kAtOnce = 4;
    constexpr uint64_t kPiece = kParts * kZeroes.size();
    // The same zeroes again and again: they are only read.
    std::array<iovec, kParts> parts;
    parts.fill({const_cast<uint8_t*>(kZeroes.data()), kZeroes.size()});
    auto one = [&](size_t i) {
        const uint64_t size = std::min(kPiece, length - i * kPiece);
        return device.write(offset + i * kPiece, Buffers(std::span<const iovec>(parts)).slice(0, size));
    };
    co_return co_await for_each_at_once((length + kPiece - 1) / kPiece, kAtOnce, one);
}

}  // namespace doppel::storage
