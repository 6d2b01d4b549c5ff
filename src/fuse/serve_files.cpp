// Open files and their content, moved between the host's files and the client's memory without a copy in between.
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include "fuse/extended_names.h"
#include "fuse/server.h"

namespace doppel::fuse {

namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr int64_t kCoarsest = kNanoseconds / 10;  // no file system's clock ticks more slowly (jiffies of 10 ms)

int64_t nanoseconds(const auto& time) {
    return time.tv_sec * kNanoseconds + time.tv_nsec;
}

// Moves bytes by one of preadv and pwritev, over short transfers and more parts than one call takes.
template <class Move>
Outcome<uint64_t> transfer(std::span<const iovec> parts, uint64_t offset, Move move) {
    const uint64_t wanted = total(parts);
    if (offset > static_cast<uint64_t>(INT64_MAX) - wanted) return refuse(EFBIG);
    uint64_t moved = 0;
    while (moved < wanted) {
        const std::vector<iovec> left = slice(parts, moved, wanted - moved);
        const int count = static_cast<int>(std::min<size_t>(left.size(), IOV_MAX));
        const ssize_t bytes = move(left.data(), count, static_cast<off_t>(offset + moved));
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0 && moved == 0) return refuse(errno);
        if (bytes <= 0) break;
        moved += static_cast<uint64_t>(bytes);
    }
    return moved;
}

}  // namespace

int Server::host_flags(uint32_t flags) const {
    int host = static_cast<int>(flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC));
    if (!late_writes_) return host;
    // The client reads what it writes a part of, and knows best where the end is.
    if ((host & O_ACCMODE) == O_WRONLY) host = (host & ~O_ACCMODE) | O_RDWR;
    return host & ~O_APPEND;
}

// Whether the client may go on with what it has in its cache: the file is as it was when it was opened last.
uint32_t Server::cache_flags(const OpenFile& file, uint32_t flags) {
    if (tree_->layered()) return FOPEN_KEEP_CACHE;
    const auto status = status_of(file.fd.get());
    timespec now{};
    if ((flags & O_TRUNC) != 0 || !status || clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    const Node::Stamp stamp{static_cast<int64_t>(status->stx_size), nanoseconds(status->stx_mtime),
                            nanoseconds(status->stx_ctime)};
    const bool same = tree_->exchange_stamp(file.node, stamp, nanoseconds(now) - stamp.changed > kCoarsest);
    return same ? FOPEN_KEEP_CACHE : 0;
}

Outcome<uint64_t> Server::add_file(Call& call, UniqueFd fd, const NodePtr& node, bool lower) {
    if (call.out.room() < sizeof(fuse_open_out)) return refuse(EIO);
    auto file = std::make_shared<OpenFile>();
    file->fd = std::move(fd);
    file->node = node;
    file->lower = lower;
    return files_.add(std::move(file));
}

Outcome<> Server::open_file(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    fuse_open_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    if (tree_->read_only() && ((in.flags & O_ACCMODE) != O_RDONLY || (in.flags & O_TRUNC) != 0)) return refuse(EROFS);
    const bool changes = (in.flags & O_ACCMODE) != O_RDONLY || (in.flags & O_TRUNC) != 0;
    const bool lower = tree_->layered() && !changes && !tree_->has(node, kUpper);
    FUSE_TRY(UniqueFd fd, tree_->open(node, host_flags(in.flags)));
    if ((in.flags & O_TRUNC) != 0 && (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0) FUSE_CHECK(take_privileges(node));
    FUSE_TRY(const uint64_t handle, add_file(call, std::move(fd), node, lower));
    FUSE_TRY(const OpenFilePtr file, file_of(handle, false));
    if ((in.flags & O_TRUNC) != 0) take_capabilities(*file);
    const fuse_open_out out{handle, cache_flags(*file, in.flags), 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::create_file(Call& call) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    fuse_create_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const std::string name, take_name(call));
    if (call.out.room() < sizeof(fuse_entry_out) + sizeof(fuse_open_out)) return refuse(EIO);
    constexpr uint32_t kPermissions = 07777;
    const Tree::Maker maker{S_IFREG | (in.mode & kPermissions), call.header.uid, call.header.gid};
    auto fd = tree_->make_file(folder, name, host_flags(in.flags) & ~O_TRUNC, maker);
    if (!fd && (fd.error() != EEXIST || (in.flags & O_EXCL) != 0)) return refuse(fd.error());
    FUSE_TRY(const auto found, tree_->look_up(folder, name));
    if (!fd) {  // the host made it meanwhile
        fd = tree_->open(found.first, host_flags(in.flags));
        if (!fd) tree_->forget(found.first->id, 1);
        if (!fd) return refuse(fd.error());
    }
    const auto handle = add_file(call, std::move(*fd), found.first);
    if (!handle) tree_->forget(found.first->id, 1);
    if (!handle) return refuse(handle.error());
    FUSE_CHECK(put_entry(call, found));
    const fuse_open_out out{*handle, 0, 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::create_nameless(Call& call) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    fuse_create_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    if (call.out.room() < sizeof(fuse_entry_out) + sizeof(fuse_open_out)) return refuse(EIO);
    constexpr uint32_t kPermissions = 07777;
    constexpr uint32_t kKept = O_ACCMODE | O_EXCL;
    const int flags = static_cast<int>(in.flags & kKept);
    if ((flags & O_ACCMODE) == O_RDONLY) return refuse(EINVAL);
    FUSE_TRY(auto made, tree_->make_nameless(folder, flags,
                                             {S_IFREG | (in.mode & kPermissions), call.header.uid, call.header.gid}));
    const NodePtr& node = made.first;
    const auto status = tree_->status(node);
    const auto handle = status ? add_file(call, std::move(made.second), node) : refuse(status.error());
    if (!handle) tree_->forget(node->id, 1);
    if (!handle) return refuse(handle.error());
    FUSE_CHECK(put_entry(call, {node, *status}));
    const fuse_open_out out{*handle, 0, 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<const UniqueFd*> Server::current(OpenFile& file) const {
    if (file.lower) {
        std::lock_guard guard(file.lock);
        if (!tree_->has(file.node, kUpper)) return &file.fd;
        if (file.lower) {
            FUSE_TRY(file.copied, tree_->open(file.node, O_RDONLY));
        }
        file.lower = false;
    }
    return file.copied ? &file.copied : &file.fd;
}

Outcome<> Server::read(Call& call) {
    fuse_read_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, false));
    FUSE_TRY(const UniqueFd* fd, current(*file));
    const std::vector<iovec> place = call.out.place(in.size);
    FUSE_TRY(const uint64_t bytes, transfer(place, in.offset, [&](const iovec* parts, int count, off_t offset) {
                 return preadv(fd->get(), parts, count, offset);
             }));
    call.out.filled(bytes);
    return {};
}

// Of files whose capabilities are in an attribute that the host does not know as such.
void Server::take_capabilities(OpenFile& file) const {
    if (tree_->owners().kind() == Owners::Kind::kReal || file.capabilities_gone.exchange(true)) return;
    fremovexattr(file.fd.get(), kStoredCapabilities);
}

Outcome<> Server::write(Call& call) {
    fuse_write_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, false));
    if (call.out.room() < sizeof(fuse_write_out) || in.size > call.in.left()) return refuse(EINVAL);
    take_capabilities(*file);
    const std::vector<iovec> content = call.in.rest(in.size);
    FUSE_TRY(const uint64_t bytes, transfer(content, in.offset, [&](const iovec* parts, int count, off_t offset) {
                 return pwritev(file->fd.get(), parts, count, offset);
             }));
    if ((in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0) FUSE_CHECK(take_privileges(file->node));
    const fuse_write_out out{static_cast<uint32_t>(bytes), 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

// close(2) by one of those that have the file open: the locks of that process go.
Outcome<> Server::flush(Call& call) {
    fuse_flush_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, false));
    if (locks_.release(file->node->id, in.lock_owner)) waiters_.poke();
    return {};
}

Outcome<> Server::release(Call& call) {
    fuse_release_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    const OpenFilePtr file = files_.take(in.fh);
    if (!file) return refuse(EBADF);
    // One that waits for a lock of it would keep the descriptor, and with it the lock.
    if ((in.release_flags & FUSE_RELEASE_FLOCK_UNLOCK) != 0) {
        flock(file->fd.get(), LOCK_UN);
        waiters_.poke();
    }
    return {};
}

Outcome<> Server::sync_file(Call& call) {
    fuse_fsync_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, call.header.opcode == FUSE_FSYNCDIR));
    const bool data = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
    return done(data ? fdatasync(file->fd.get()) : fsync(file->fd.get()));
}

Outcome<> Server::sync_all(Call&) {
    return done(syncfs(tree_->root_folder()));
}

Outcome<> Server::allocate(Call& call) {
    fuse_fallocate_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, false));
    constexpr uint32_t kModes = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if ((in.mode & ~kModes) != 0) return refuse(EOPNOTSUPP);
    if (in.offset > static_cast<uint64_t>(INT64_MAX) || in.length > static_cast<uint64_t>(INT64_MAX) - in.offset)
        return refuse(EFBIG);
    take_capabilities(*file);
    return done(fallocate(file->fd.get(), static_cast<int>(in.mode), static_cast<off_t>(in.offset),
                          static_cast<off_t>(in.length)));
}

Outcome<> Server::seek(Call& call) {
    fuse_lseek_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    // What the client has not written back yet the host takes for a hole.
    if (late_writes_) return refuse(ENOSYS);
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr file, file_of(in.fh, false));
    FUSE_TRY(const UniqueFd* fd, current(*file));
    const off_t at = lseek(fd->get(), static_cast<off_t>(in.offset), static_cast<int>(in.whence));
    if (at < 0) return refuse(errno);
    const fuse_lseek_out out{static_cast<uint64_t>(at)};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::copy_range(Call& call) {
    fuse_copy_file_range_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    if (in.flags != 0) return refuse(EINVAL);
    FUSE_TRY(const OpenFilePtr from, file_of(in.fh_in, false));
    FUSE_TRY(const OpenFilePtr to, file_of(in.fh_out, false));
    FUSE_TRY(const UniqueFd* source, current(*from));
    take_capabilities(*to);
    auto from_at = static_cast<off64_t>(in.off_in), to_at = static_cast<off64_t>(in.off_out);
    if (from_at < 0 || to_at < 0) return refuse(EINVAL);
    constexpr uint64_t kMost = uint64_t{1} << 30;  // the answer has 32 bits
    const ssize_t bytes = copy_file_range(source->get(), &from_at, to->fd.get(), &to_at, std::min(in.len, kMost), 0);
    if (bytes < 0) return refuse(errno == EXDEV ? EOPNOTSUPP : errno);  // then the client copies
    const fuse_write_out out{static_cast<uint32_t>(bytes), 0};
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

}  // namespace doppel::fuse
