#include "storage/block_device.h"

#include <algorithm>
#include <array>

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
    while (length > 0) {
        const uint64_t piece = std::min<uint64_t>(length, kZeroes.size());
        const Status status = co_await device.write(offset, Buffers(std::span(kZeroes).first(piece)));
        if (!status.ok()) co_return status;
        offset += piece;
        length -= piece;
    }
    co_return kOk;
}

}  // namespace doppel::storage
