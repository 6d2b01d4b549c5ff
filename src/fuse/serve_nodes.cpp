// Looking at files, and their attributes.
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fuse/server.h"

namespace doppel::fuse {

namespace {

constexpr uint64_t kValid = 1;              // seconds that a client may believe what it was told: the host changes too
constexpr uint64_t kValidForItself = 3600;  // where nobody else changes anything
constexpr uint32_t kPermissions = 07777;

// chown(2): a change takes set-user-id bits from what can be executed.
uint32_t without_privileges(uint32_t mode) {
    if (S_ISDIR(mode)) return mode;
    mode &= ~static_cast<uint32_t>(S_ISUID);
    if ((mode & S_IXGRP) != 0) mode &= ~static_cast<uint32_t>(S_ISGID);
    return mode;
}

timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds, uint32_t nanoseconds) {
    if ((valid & now) != 0) return {0, UTIME_NOW};
    if ((valid & set) == 0) return {0, UTIME_OMIT};
    constexpr uint32_t kSecond = 1'000'000'000;
    return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds % kSecond)};
}

}  // namespace

fuse_attr Server::attributes(const struct statx& status) const {
    fuse_attr attr{};
    attr.ino = tree_->inode(identity_of(status));
    attr.size = status.stx_size;
    attr.blocks = status.stx_blocks;
    attr.atime = static_cast<uint64_t>(status.stx_atime.tv_sec);
    attr.mtime = static_cast<uint64_t>(status.stx_mtime.tv_sec);
    attr.ctime = static_cast<uint64_t>(status.stx_ctime.tv_sec);
    attr.atimensec = status.stx_atime.tv_nsec;
    attr.mtimensec = status.stx_mtime.tv_nsec;
    attr.ctimensec = status.stx_ctime.tv_nsec;
    attr.mode = status.stx_mode;
    attr.nlink = status.stx_nlink;
    attr.uid = status.stx_uid;
    attr.gid = status.stx_gid;
    // As the client's kernel encodes it (new_encode_dev).
    constexpr uint32_t kLowMinor = 0xff;
    attr.rdev =
        (status.stx_rdev_minor & kLowMinor) | status.stx_rdev_major << 8 | (status.stx_rdev_minor & ~kLowMinor) << 12;
    attr.blksize = status.stx_blksize;
    return attr;
}

fuse_entry_out Server::entry(const Node& node, const struct statx& status) const {
    fuse_entry_out out{};
    out.nodeid = node.id;
    out.entry_valid = out.attr_valid = tree_->layered() ? kValidForItself : kValid;
    out.attr = attributes(status);
    return out;
}

// What the client did not get it does not know.
Outcome<> Server::put_entry(Call& call, const std::pair<NodePtr, struct statx>& found) {
    if (call.out.put(entry(*found.first, found.second))) return {};
    tree_->forget(found.first->id, 1);
    return refuse(EIO);
}

Outcome<> Server::look_up(Call& call) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    FUSE_TRY(const std::string name, take_name(call));
    FUSE_TRY(const auto found, tree_->look_up(folder, name));
    return put_entry(call, found);
}

Outcome<> Server::forget(Call& call) {
    fuse_forget_in in;
    if (call.in.take(in)) tree_->forget(call.header.nodeid, in.nlookup);
    return {};
}

Outcome<> Server::forget_several(Call& call) {
    fuse_batch_forget_in in;
    if (!call.in.take(in)) return {};
    fuse_forget_one one;
    for (uint32_t i = 0; i < in.count && call.in.take(one); i++) tree_->forget(one.nodeid, one.nlookup);
    return {};
}

Outcome<> Server::get_attributes(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    FUSE_TRY(const struct statx status, tree_->status(node));
    fuse_attr_out out{};
    out.attr_valid = tree_->layered() ? kValidForItself : kValid;
    out.attr = attributes(status);
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::set_size(const NodePtr& node, const fuse_setattr_in& wanted) {
    if (wanted.size > static_cast<uint64_t>(INT64_MAX)) return refuse(EINVAL);
    const auto size = static_cast<off_t>(wanted.size);
    if ((wanted.valid & FATTR_FH) != 0) {
        FUSE_TRY(const OpenFilePtr file, file_of(wanted.fh, false));
        take_capabilities(*file);
        if (ftruncate(file->fd.get(), size) == 0) return {};
        if (errno != EINVAL && errno != EBADF) return refuse(errno);  // a handle for reading: the node will do
    }
    FUSE_TRY(const UniqueFd fd, tree_->open(node, O_WRONLY));
    return done(ftruncate(fd.get(), size));
}

Outcome<> Server::set_times(const NodePtr& node, const fuse_setattr_in& wanted) {
    const std::array times{
        time_of(wanted.valid, FATTR_ATIME, FATTR_ATIME_NOW, wanted.atime, wanted.atimensec),
        time_of(wanted.valid, FATTR_MTIME, FATTR_MTIME_NOW, wanted.mtime, wanted.mtimensec),
    };
    FUSE_TRY(const Held held, tree_->hold_for_change(node));
    return done(utimensat(held->get(), "", times.data(), AT_EMPTY_PATH));
}

Outcome<> Server::take_privileges(const NodePtr& node) {
    FUSE_TRY(const struct statx status, tree_->status(node));
    Ownership ownership = ownership_of(status);
    ownership.mode = without_privileges(ownership.mode);
    if (ownership.mode == status.stx_mode) return {};
    return tree_->give(node, ownership);
}

Outcome<> Server::set_attributes(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    fuse_setattr_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    if ((in.valid & FATTR_SIZE) != 0) FUSE_CHECK(set_size(node, in));
    if ((in.valid & (FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID)) != 0) {
        FUSE_TRY(const struct statx status, tree_->status(node));
        Ownership ownership = ownership_of(status);
        const bool owner = (in.valid & (FATTR_UID | FATTR_GID)) != 0;
        if (owner || (in.valid & FATTR_KILL_SUIDGID) != 0) ownership.mode = without_privileges(ownership.mode);
        if ((in.valid & FATTR_UID) != 0) ownership.uid = in.uid;
        if ((in.valid & FATTR_GID) != 0) ownership.gid = in.gid;
        if ((in.valid & FATTR_MODE) != 0) ownership.mode = (ownership.mode & S_IFMT) | (in.mode & kPermissions);
        if (ownership.uid == ~0U || ownership.gid == ~0U) return refuse(EINVAL);
        FUSE_CHECK(tree_->give(node, ownership));
    }
    if ((in.valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)) != 0)
        FUSE_CHECK(set_times(node, in));
    FUSE_TRY(const struct statx status, tree_->status(node));
    fuse_attr_out out{};
    out.attr_valid = tree_->layered() ? kValidForItself : kValid;
    out.attr = attributes(status);
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::read_link(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    FUSE_TRY(const std::string target, tree_->read_link(node));
    return call.out.put(target.data(), target.size()) ? Outcome<>() : refuse(EIO);
}

Outcome<> Server::file_system_status(Call& call) {
    struct statfs host {};
    if (fstatfs(tree_->root_folder(), &host) != 0) return refuse(errno);
    fuse_statfs_out out{};
    out.st.blocks = host.f_blocks;
    out.st.bfree = host.f_bfree;
    out.st.bavail = host.f_bavail;
    out.st.files = host.f_files;
    out.st.ffree = host.f_ffree;
    out.st.bsize = static_cast<uint32_t>(host.f_bsize);
    out.st.namelen = static_cast<uint32_t>(host.f_namelen);
    out.st.frsize = static_cast<uint32_t>(host.f_frsize);
    return call.out.put(out) ? Outcome<>() : refuse(EIO);
}

}  // namespace doppel::fuse
