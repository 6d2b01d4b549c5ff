// Copies of files of the lower layer in the upper one.
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "fuse/extended_names.h"
#include "fuse/tree.h"

namespace doppel::fuse {

namespace {

constexpr unsigned kPrivate = 0600, kPrivateFolder = 0700;
constexpr unsigned kDeepest = 1000;

Outcome<> copy_bytes(int from, int to, off64_t at, off64_t end) {
    std::vector<char> buffer;
    while (at < end) {
        off64_t to_at = at, from_at = at;
        ssize_t bytes =
            buffer.empty() ? copy_file_range(from, &from_at, to, &to_at, static_cast<size_t>(end - at), 0) : -1;
        if (bytes < 0) {  // not between these file systems
            constexpr size_t kBuffer = 1 << 20;
            buffer.resize(kBuffer);
            bytes = pread(from, buffer.data(), std::min<size_t>(kBuffer, static_cast<size_t>(end - at)), at);
            if (bytes > 0) bytes = pwrite(to, buffer.data(), static_cast<size_t>(bytes), at);
            if (bytes < 0) return refuse(errno);
        }
        if (bytes == 0) return {};  // it became shorter
        at += bytes;
    }
    return {};
}

// Holes stay holes.
Outcome<> copy_content(int from, int to, off64_t size) {
    FUSE_CHECK(done(ftruncate(to, size)));
    for (off64_t at = 0; at < size;) {
        const off64_t data = lseek(from, at, SEEK_DATA);
        if (data < 0) return errno == ENXIO ? Outcome<>() : refuse(errno);
        const off64_t hole = lseek(from, data, SEEK_HOLE);
        FUSE_CHECK(copy_bytes(from, to, data, hole < 0 ? size : std::min(hole, size)));
        at = hole < 0 ? size : hole;
    }
    return {};
}

Outcome<> copy_attributes(int from, int to, Owners::Kind kind) {
    std::vector<char> names(XATTR_LIST_MAX), value(XATTR_SIZE_MAX);
    const ssize_t length = listxattr(path_of(from).c_str(), names.data(), names.size());
    for (const char* at = names.data(); at < names.data() + std::max<ssize_t>(length, 0);) {
        const std::string name(at);
        at += name.size() + 1;
        if (!client_name(name, kind)) continue;
        const ssize_t bytes = getxattr(path_of(from).c_str(), name.c_str(), value.data(), value.size());
        if (bytes >= 0 && fsetxattr(to, name.c_str(), value.data(), static_cast<size_t>(bytes), 0) != 0)
            return refuse(errno);
    }
    return {};
}

Outcome<> copy_times(const struct statx& status, int to) {
    const std::array<timespec, 2> times{
        {{status.stx_atime.tv_sec, status.stx_atime.tv_nsec}, {status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec}}};
    return done(utimensat(to, "", times.data(), AT_EMPTY_PATH));
}

}  // namespace

// All but the content, which only regular files have.
Outcome<> Tree::copy_properties(int from, const struct statx& shown, int to) {
    FUSE_CHECK(copy_attributes(from, to, owners_.kind()));
    FUSE_TRY(const struct statx host, status_of(to));
    FUSE_CHECK(owners_.give(to, host, ownership_of(shown)));
    return copy_times(shown, to);
}

Outcome<UniqueFd> Tree::copy_file(int from, const struct statx& shown, int folder) {
    FUSE_TRY(UniqueFd to, open_in(folder, ".", O_RDWR | O_TMPFILE, kPrivate));
    // A special file of the host's is one of the client's from here on: empty, with the attribute.
    if (is_type(shown, S_IFREG)) {
        FUSE_TRY(const UniqueFd source, reopen(from, O_RDONLY));
        FUSE_CHECK(copy_content(source.get(), to.get(), static_cast<off64_t>(shown.stx_size)));
        FUSE_CHECK(copy_properties(from, shown, to.get()));
        return to;
    }
    FUSE_TRY(const struct statx host, status_of(to.get()));
    FUSE_CHECK(owners_.give(to.get(), host, ownership_of(shown)));
    return to;
}

Outcome<> Tree::copy_entry(const NodePtr& node, int from, const struct statx& shown, const Name& at) {
    FUSE_TRY(const Held folder, hold_in(at.folder, kUpper));
    if (is_type(shown, S_IFDIR)) {
        FUSE_CHECK(done(mkdirat(folder->get(), at.name.c_str(), kPrivateFolder)));
        FUSE_TRY(const UniqueFd made, open_in(folder->get(), at.name, O_RDONLY | O_DIRECTORY));
        return copy_properties(from, shown, made.get());
    }
    if (is_type(shown, S_IFLNK)) {
        FUSE_TRY(const std::string target, read_link(node));
        FUSE_CHECK(done(symlinkat(target.c_str(), folder->get(), at.name.c_str())));
        if (owners_.kind() == Owners::Kind::kMapped || owners_.made_by(shown.stx_uid, shown.stx_gid)) return {};
        return done(fchownat(folder->get(), at.name.c_str(), shown.stx_uid, shown.stx_gid, AT_SYMLINK_NOFOLLOW));
    }
    FUSE_TRY(const UniqueFd file, copy_file(from, shown, folder->get()));
    return done(linkat(AT_FDCWD, path_of(file.get()).c_str(), folder->get(), at.name.c_str(), AT_SYMLINK_FOLLOW));
}

void Tree::add_upper(const NodePtr& node, const struct statx& status) {
    std::lock_guard guard(lock_);
    Node::Place& place = node->places[kUpper];
    place.present = true;
    place.identity = identity_of(status);
    by_identity_[kUpper][place.identity] = node.get();
}

Outcome<> Tree::copy_up(const NodePtr& node, unsigned depth) {
    const std::lock_guard changes(changes_);
    if (has(node, kUpper)) return {};
    if (depth > kDeepest) return refuse(ELOOP);
    Name at;
    {
        std::lock_guard guard(lock_);
        at = {node->parent, node->name};
    }
    FUSE_TRY(const struct statx shown, status(node));
    FUSE_TRY(const Held from, hold_in(node, kLower));
    if (at.folder) {
        FUSE_CHECK(copy_up(at.folder, depth + 1));
        FUSE_CHECK(copy_entry(node, from->get(), shown, at));
        FUSE_TRY(const Held folder, hold_in(at.folder, kUpper));
        FUSE_TRY(const struct statx status, status_in(folder->get(), at.name));
        add_upper(node, status);
        return {};
    }
    // Its name is gone already.
    if (!is_type(shown, S_IFREG)) return refuse(ESTALE);
    FUSE_TRY(const UniqueFd file, copy_file(from->get(), shown, root_folder()));
    FUSE_TRY(UniqueFd path, reopen(file.get(), O_PATH));
    FUSE_TRY(const struct statx status, status_of(path.get()));
    add_upper(node, status);
    keep(node, kUpper, std::make_shared<UniqueFd>(std::move(path)));
    Dead dead;
    std::lock_guard guard(lock_);
    pin_locked(*node, kUpper, true, dead);
    return {};
}

}  // namespace doppel::fuse
