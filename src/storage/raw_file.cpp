#include "storage/raw_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "storage/file_lock.h"

namespace doppel::storage {

namespace {

// Nothing where the operation should be tried again.
std::optional<Status> failure(int result) {
    if (result >= 0 || result == -EINTR || result == -EAGAIN) return std::nullopt;
    return Status(-result);
}

bool cannot(int result) {
    return result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL || result == -ENODEV;
}

// At most IoContext::kMaxParts of what is left from `offset` on.
void collect(Buffers buffers, uint64_t offset, std::vector<iovec>& parts) {
    parts.clear();
    buffers.from(offset).append_to(parts);
    if (parts.size() > IoContext::kMaxParts) parts.resize(IoContext::kMaxParts);
}

}  // namespace

Result<std::unique_ptr<RawFile>> RawFile::open(IoContext& io, const std::filesystem::path& path,
                                               const RawOptions& options) {
    UniqueFd fd;
    do {
        // O_NONBLOCK: opening a FIFO would wait for its other end.
        fd.reset(::open(path.c_str(), (options.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    } while (!fd && errno == EINTR);
    if (!fd) return fail(Error::system("open disk", path.string(), errno));
    DOPPEL_TRY(auto file, adopt(io, std::move(fd), path, options));
    if (!options.share) DOPPEL_CHECK(lock_file(file->fd(), path, options.writable ? Access::kWrite : Access::kRead));
    return file;
}

Result<std::unique_ptr<RawFile>> RawFile::adopt(IoContext& io, UniqueFd fd, const std::filesystem::path& path,
                                                const RawOptions& options) {
    std::unique_ptr<RawFile> file(new RawFile(io, std::move(fd), path, options));
    DOPPEL_CHECK(file->find_size());
    return file;
}

Result<> RawFile::find_size() {
    struct stat status {};
    // Not glibc's, which asks as if for a path: a confined process may not.
    if (::syscall(SYS_fstat, fd(), &status) != 0) return fail(Error::system("open disk", name(), errno));
    regular_ = S_ISREG(status.st_mode);
    size_ = static_cast<uint64_t>(status.st_size);
    if (regular_) {
        // io_uring writes into the cache by itself where the file system can say that it would wait (Linux 6.0:
        // XFS, 6.1: Btrfs). Elsewhere one kernel thread a file does all, which several of our own do faster.
        struct statfs system {};
        writes_block_ =
            ::fstatfs(fd(), &system) != 0 || (system.f_type != XFS_SUPER_MAGIC && system.f_type != BTRFS_SUPER_MAGIC);
        return {};
    }
    if (!S_ISBLK(status.st_mode))
        return fail(Error{"open disk", name(), "it is neither a file nor a block device", "name a disk"});
    const off_t end = ::lseek(fd(), 0, SEEK_END);
    if (end < 0) return fail(Error::system("find size of disk", name(), errno));
    size_ = static_cast<uint64_t>(end);
    return {};
}

Task<Status> RawFile::do_read(uint64_t offset, Buffers to) {
    const auto only = to.contiguous();
    return only.empty() ? read_parts(offset, to) : read_part(offset, only);
}

Task<Status> RawFile::read_part(uint64_t offset, std::span<uint8_t> to) {
    while (!to.empty()) {
        const iovec part{to.data(), to.size()};
        const int got = co_await io_.read(fd(), offset, std::span(&part, 1));
        if (const auto failed = failure(got)) co_return *failed;
        if (got == 0) {  // the end of the file
            if (!grows()) co_return kIoError;
            std::ranges::fill(to, uint8_t{0});
            co_return kOk;
        }
        if (got < 0) continue;
        offset += static_cast<uint64_t>(got);
        to = to.subspan(static_cast<size_t>(got));
    }
    co_return kOk;
}

Task<Status> RawFile::read_parts(uint64_t offset, Buffers to) {
    std::vector<iovec> parts;
    for (uint64_t done = 0; done < to.size();) {
        collect(to, done, parts);
        const int got = co_await io_.read(fd(), offset + done, parts);
        if (const auto failed = failure(got)) co_return *failed;
        if (got == 0) {
            if (!grows()) co_return kIoError;
            to.from(done).fill(0);
            co_return kOk;
        }
        if (got > 0) done += static_cast<uint64_t>(got);
    }
    co_return kOk;
}

Task<Status> RawFile::do_write(uint64_t offset, Buffers from) {
    const auto only = from.contiguous();
    return only.empty() ? write_parts(offset, from) : write_part(offset, only);
}

Task<Status> RawFile::write_part(uint64_t offset, std::span<uint8_t> from) {
    while (!from.empty()) {
        const iovec part{from.data(), from.size()};
        const int put = co_await io_.write(fd(), offset, std::span(&part, 1), writes_block_);
        if (const auto failed = failure(put)) co_return *failed;
        if (put == 0) co_return kNoSpace;  // the end of a block device
        if (put < 0) continue;
        offset += static_cast<uint64_t>(put);
        from = from.subspan(static_cast<size_t>(put));
        note_end(offset);
    }
    co_return kOk;
}

Task<Status> RawFile::write_parts(uint64_t offset, Buffers from) {
    std::vector<iovec> parts;
    for (uint64_t done = 0; done < from.size();) {
        collect(from, done, parts);
        const int put = co_await io_.write(fd(), offset + done, parts, writes_block_);
        if (const auto failed = failure(put)) co_return *failed;
        if (put == 0) co_return kNoSpace;
        if (put < 0) continue;
        done += static_cast<uint64_t>(put);
        note_end(offset + done);
    }
    co_return kOk;
}

Task<Status> RawFile::do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    // A hole behind the end would not move the end.
    const bool hole = may_unmap && punches_holes_ && offset + length <= size_;
    if (hole || zeroes_ranges_) {
        const int mode = hole ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE;
        const int result = co_await io_.fallocate(fd(), mode, offset, length);
        if (result == 0) {
            note_end(offset + length);
            co_return kOk;
        }
        if (!cannot(result)) co_return Status(-result);
        (hole ? punches_holes_ : zeroes_ranges_) = false;
    }
    co_return co_await write_zeroes_as_data(*this, offset, length);
}

Task<Status> RawFile::do_discard(uint64_t offset, uint64_t length) {
    if (!punches_holes_) co_return kOk;
    const int result = co_await io_.fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (result == 0) co_return kOk;
    if (!cannot(result)) co_return Status(-result);
    punches_holes_ = false;
    co_return kOk;
}

Task<Status> RawFile::do_flush() {
    const int result = co_await io_.data_sync(fd());
    co_return result < 0 ? Status(-result) : kOk;
}

Task<Result<Extent>> RawFile::do_extent(uint64_t offset, uint64_t length) {
    Extent extent{.length = length, .data = true, .allocated = true, .host_offset = offset, .file = name()};
    if (!regular_) co_return extent;
    const auto at = static_cast<off_t>(offset);
    const off_t data = ::lseek(fd(), at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) co_return extent;  // a file system that cannot tell
    const bool hole = data < 0 || data > at;
    extent.zero = hole;
    extent.data = !hole;
    off_t end = data;
    if (!hole) end = ::lseek(fd(), at, SEEK_HOLE);
    if (end > at) extent.length = std::min(length, static_cast<uint64_t>(end - at));
    co_return extent;
}

// No write goes behind what was extended to, as far as the owner keeps to that: else this could cut one off.
Status RawFile::extend(uint64_t size) {
    if (!grows() || size <= size_) return kOk;
    if (size > INT64_MAX || ::ftruncate(fd(), static_cast<off_t>(size)) != 0)
        return Status(size > INT64_MAX ? EFBIG : errno);
    size_ = size;
    return kOk;
}

Task<Result<>> RawFile::resize(uint64_t size, Preallocation preallocation) {
    if (!regular_) co_return fail(Error{"resize disk", name(), "a block device keeps its size", ""});
    const uint64_t old = size_;
    if (size > INT64_MAX) co_return fail(Error::system("resize disk", name(), EFBIG));
    if (::ftruncate(fd(), static_cast<off_t>(size)) != 0) co_return fail(Error::system("resize disk", name(), errno));
    size_ = size;
    if (size <= old || preallocation == Preallocation::kOff || preallocation == Preallocation::kMetadata)
        co_return Result<>{};
    Status status;
    if (preallocation == Preallocation::kFalloc) {
        const int result = co_await io_.fallocate(fd(), 0, old, size - old);
        status = result < 0 ? Status(-result) : kOk;
    } else {
        status = co_await write_zeroes_as_data(*this, old, size - old);
    }
    if (!status.ok() && ::ftruncate(fd(), static_cast<off_t>(old)) == 0) size_ = old;
    co_return status.result("give room to disk", name());
}

Result<> create_raw_file(const std::filesystem::path& path, uint64_t size) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) return fail(Error::system("create disk", path.string(), errno));
    const int error = size > INT64_MAX ? EFBIG : ::ftruncate(file.get(), static_cast<off_t>(size)) != 0 ? errno : 0;
    if (error == 0) return {};
    ::unlink(path.c_str());
    return fail(Error::system("create disk", path.string(), error));
}

}  // namespace doppel::storage
