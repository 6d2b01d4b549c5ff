// Names in folders: made, linked, moved and removed.
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <span>

#include "base/file.h"
#include "fuse/tree.h"

namespace doppel::fuse {

namespace {

constexpr unsigned kPermissions = 0777;
#ifndef SYS_fchmodat2
constexpr long kFchmodat2 = 452;  // Linux 6.6
#else
constexpr long kFchmodat2 = SYS_fchmodat2;
#endif

Ownership ownership_of_maker(const Tree::Maker& maker) {
    return {maker.mode, maker.uid, maker.gid, maker.major, maker.minor};
}

// A file that was not made whole goes again.
class Unfinished {
  public:
    Unfinished(int folder, const std::string& name, int flags) : folder_(folder), name_(name), flags_(flags) {}
    ~Unfinished() {
        if (folder_ >= 0) unlinkat(folder_, name_.c_str(), flags_);
    }
    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;
    void finish() { folder_ = -1; }

  private:
    int folder_;
    const std::string& name_;
    int flags_;
};

}  // namespace

Outcome<> Tree::own(int fd, Maker maker, const NodePtr& folder) {
    FUSE_TRY(const struct statx host, status_of(fd));
    FUSE_TRY(const struct statx parent, status(folder));
    // As every file system does: the group of such a folder, and the bit for folders in it.
    if ((parent.stx_mode & S_ISGID) != 0) {
        maker.gid = parent.stx_gid;
        if (S_ISDIR(maker.mode)) maker.mode |= S_ISGID;
    }
    if (owners_.kind() == Owners::Kind::kMapped && !owners_.stores() && can_be_opened(host) &&
        (S_ISREG(maker.mode) || S_ISDIR(maker.mode))) {
        return done(fchmod(fd, owners_.host_mode(maker.mode, S_ISDIR(maker.mode))));
    }
    return owners_.give(fd, host, ownership_of_maker(maker));
}

Outcome<UniqueFd> Tree::make_file(const NodePtr& folder, const std::string& name, int flags, const Maker& maker) {
    FUSE_TRY(Uncovered uncovered, uncover(folder, name));
    FUSE_TRY(const Held held, hold_for_change(folder));
    FUSE_TRY(UniqueFd fd,
             open_in(held->get(), name, flags | O_CREAT | O_EXCL, owners_.host_mode(maker.mode, false) & kPermissions));
    Unfinished unfinished(held->get(), name, 0);
    FUSE_CHECK(own(fd.get(), maker, folder));
    FUSE_CHECK(uncovered.finish(false));
    unfinished.finish();
    return fd;
}

Outcome<> Tree::make_folder(const NodePtr& folder, const std::string& name, const Maker& maker) {
    FUSE_TRY(Uncovered uncovered, uncover(folder, name));
    FUSE_TRY(const Held held, hold_for_change(folder));
    FUSE_CHECK(done(mkdirat(held->get(), name.c_str(), owners_.host_mode(maker.mode, true) & kPermissions)));
    Unfinished unfinished(held->get(), name, AT_REMOVEDIR);
    FUSE_TRY(const UniqueFd fd, open_in(held->get(), name, O_RDONLY | O_DIRECTORY));
    FUSE_CHECK(own(fd.get(), maker, folder));
    FUSE_CHECK(uncovered.finish(true));
    unfinished.finish();
    return {};
}

// A regular file whose attribute says what it is.
Outcome<> Tree::make_stored(const NodePtr& folder, const std::string& name, const std::string& content,
                            const Maker& maker) {
    if (!owners_.stores()) return refuse(EPERM);
    FUSE_TRY(Uncovered uncovered, uncover(folder, name));
    FUSE_TRY(const Held held, hold_for_change(folder));
    constexpr unsigned kPrivate = 0600;
    FUSE_TRY(const UniqueFd fd, open_in(held->get(), name, O_RDWR | O_CREAT | O_EXCL, kPrivate));
    Unfinished unfinished(held->get(), name, 0);
    if (!write_all(fd.get(), {reinterpret_cast<const uint8_t*>(content.data()), content.size()})) return refuse(errno);
    FUSE_CHECK(own(fd.get(), maker, folder));
    FUSE_CHECK(uncovered.finish(false));
    unfinished.finish();
    return {};
}

Outcome<> Tree::make_special(const NodePtr& folder, const std::string& name, const Maker& maker) {
    // In a tree of layers this one says that a name is gone.
    if (layered() && S_ISCHR(maker.mode) && maker.major == 0 && maker.minor == 0) return refuse(EPERM);
    return make_stored(folder, name, "", maker);
}

Outcome<> Tree::make_link(const NodePtr& folder, const std::string& name, const std::string& target,
                          const Maker& maker) {
    FUSE_TRY(const Held held, hold_for_change(folder));
    FUSE_TRY(const struct statx parent, status(folder));
    const uint32_t gid = (parent.stx_mode & S_ISGID) != 0 ? parent.stx_gid : maker.gid;
    const bool mapped = owners_.kind() == Owners::Kind::kMapped;
    // A link of the host's has no extended attributes.
    if (mapped && !owners_.is_host_user(maker.uid, gid) && owners_.stores())
        return make_stored(folder, name, target, maker);
    FUSE_TRY(Uncovered uncovered, uncover(folder, name));
    FUSE_CHECK(done(symlinkat(target.c_str(), held->get(), name.c_str())));
    FUSE_CHECK(uncovered.finish(false));
    if (mapped || owners_.made_by(maker.uid, gid)) return {};
    Unfinished unfinished(held->get(), name, 0);
    FUSE_CHECK(done(fchownat(held->get(), name.c_str(), maker.uid, gid, AT_SYMLINK_NOFOLLOW)));
    unfinished.finish();
    return {};
}

Outcome<std::pair<NodePtr, UniqueFd>> Tree::make_nameless(const NodePtr& folder, int flags, const Maker& maker) {
    FUSE_TRY(const Held held, hold_for_change(folder));
    FUSE_TRY(UniqueFd fd,
             open_in(held->get(), ".", flags | O_TMPFILE, owners_.host_mode(maker.mode, false) & kPermissions));
    FUSE_CHECK(own(fd.get(), maker, folder));
    FUSE_TRY(UniqueFd path, reopen(fd.get(), O_PATH));
    FUSE_TRY(const struct statx status, status_of(path.get()));
    Found found;
    found.places[kUpper] = identity_of(status);
    NodePtr node = intern(nullptr, "", found);
    if (!node) return refuse(ENFILE);
    keep(node, kUpper, std::make_shared<UniqueFd>(std::move(path)));
    Dead dead;
    std::lock_guard guard(lock_);
    pin_locked(*node, kUpper, true, dead);
    return std::pair(std::move(node), std::move(fd));
}

Outcome<> Tree::link(const NodePtr& node, const NodePtr& folder, const std::string& name) {
    FUSE_TRY(const Held file, hold_for_change(node));
    FUSE_TRY(Uncovered uncovered, uncover(folder, name));
    FUSE_TRY(const Held held, hold_for_change(folder));
    FUSE_CHECK(done(linkat(AT_FDCWD, path_of(file->get()).c_str(), held->get(), name.c_str(), AT_SYMLINK_FOLLOW)));
    return uncovered.finish(false);
}

NodePtr Tree::keep_nameless(const NodePtr& folder, const std::string& name) {
    const auto found = find(folder, name);
    if (!found) return nullptr;
    NodePtr node;
    {
        std::lock_guard guard(lock_);
        Node* known = known_locked(*found);
        if (known == nullptr || known->parent != folder || known->name != name) return nullptr;
        node = nodes_.at(known->id);
    }
    if (!hold(node)) return nullptr;
    Dead dead;
    std::lock_guard guard(lock_);
    for (Layer layer : {kUpper, kLower}) pin_locked(*node, layer, true, dead);
    return node;
}

void Tree::settle_nameless(const NodePtr& node, const NodePtr& folder, const std::string& name, bool gone) {
    if (!node) return;
    Dead dead;
    std::lock_guard guard(lock_);
    const bool here = node->parent == folder && node->name == name;
    if (gone && here) {
        place_locked(node, nullptr, "", dead);
        return;
    }
    for (Layer layer : {kUpper, kLower})
        if (node->parent) pin_locked(*node, layer, false, dead);
}

Outcome<> Tree::remove(const NodePtr& folder, const std::string& name, bool is_folder) {
    if (layered()) return remove_from_layers(folder, name, is_folder);
    FUSE_TRY(const Held held, hold_for_change(folder));
    const NodePtr node = keep_nameless(folder, name);
    const auto removed = done(unlinkat(held->get(), name.c_str(), is_folder ? AT_REMOVEDIR : 0));
    settle_nameless(node, folder, name, removed.has_value());
    return removed;
}

Outcome<> Tree::rename(const Name& from, const Name& to, unsigned flags) {
    std::unique_lock changes(changes_, std::defer_lock);
    if (layered()) {
        changes.lock();
        FUSE_CHECK(prepare_rename(from, to, flags));
    }
    FUSE_TRY(const Held from_held, hold_for_change(from.folder));
    FUSE_TRY(const Held to_held, hold_for_change(to.folder));
    FUSE_TRY(const Found source, find(from.folder, from.name));
    const auto target = find(to.folder, to.name);
    if (target && target->places == source.places) {  // two links of one file: nothing is to be done (rename(2))
        return flags == RENAME_NOREPLACE ? Outcome<>(refuse(EEXIST)) : Outcome<>();
    }
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    const NodePtr victim = target && !exchange ? keep_nameless(to.folder, to.name) : nullptr;
    const auto renamed = done(renameat2(from_held->get(), from.name.c_str(), to_held->get(), to.name.c_str(), flags));
    settle_nameless(victim, to.folder, to.name, renamed.has_value());
    if (!renamed) return renamed;
    if (layered()) FUSE_CHECK(finish_rename(from, to, exchange));
    Dead dead;
    std::lock_guard guard(lock_);
    if (Node* moved = known_locked(source)) place_locked(nodes_.at(moved->id), to.folder, to.name, dead);
    if (!exchange || !target) return {};
    if (Node* moved = known_locked(*target)) place_locked(nodes_.at(moved->id), from.folder, from.name, dead);
    return {};
}

Outcome<std::string> Tree::read_link(const NodePtr& node) {
    FUSE_TRY(const Held held, hold(node));
    std::array<char, PATH_MAX> target;
    ssize_t length = readlinkat(held->get(), "", target.data(), target.size());
    if (length < 0) {
        const int error = errno == ENOENT ? EINVAL : errno;  // it is no link
        FUSE_TRY(const struct statx shown, status(node));
        if (!is_type(shown, S_IFLNK)) return refuse(error);
        FUSE_TRY(const UniqueFd fd, reopen(held->get(), O_RDONLY));
        length = read(fd.get(), target.data(), target.size());
        if (length < 0) return refuse(errno);
    }
    if (length == PATH_MAX) return refuse(ENAMETOOLONG);
    return std::string(target.data(), static_cast<size_t>(length));
}

// A link, or a special file of the host's.
Outcome<> Tree::give_link(const NodePtr& node, int fd, const struct statx& host, const Ownership& ownership) {
    if (owners_.kind() == Owners::Kind::kMapped) {
        struct statx plain = host;
        owners_.show(plain);
        if (ownership == ownership_of(plain)) return {};
        return is_type(host, S_IFLNK) && owners_.stores() ? store_link(node, fd, ownership) : Outcome<>(refuse(EPERM));
    }
    if (host.stx_uid != ownership.uid || host.stx_gid != ownership.gid)
        FUSE_CHECK(done(fchownat(fd, "", ownership.uid, ownership.gid, AT_EMPTY_PATH)));
    if (host.stx_mode == ownership.mode) return {};
    if (is_type(host, S_IFLNK)) return refuse(EOPNOTSUPP);
    return done(static_cast<int>(syscall(kFchmodat2, fd, "", ownership.mode & 07777, AT_EMPTY_PATH)));
}

// The link becomes a regular file that says so, in one step; the node goes on with that.
Outcome<> Tree::store_link(const NodePtr& node, int fd, const Ownership& ownership) {
    std::array<char, PATH_MAX> target;
    const ssize_t length = readlinkat(fd, "", target.data(), target.size());
    if (length < 0) return refuse(errno);
    NodePtr folder;
    std::string name;
    {
        std::lock_guard guard(lock_);
        folder = node->parent;
        name = node->name;
    }
    if (!folder) return refuse(ESTALE);
    FUSE_TRY(const Held held, hold_for_change(folder));
    const std::string temporary = ".doppel-link-" + std::to_string(node->id);
    FUSE_CHECK(make_stored(folder, temporary, std::string(target.data(), static_cast<size_t>(length)),
                           {ownership.mode, ownership.uid, ownership.gid}));
    Unfinished unfinished(held->get(), temporary, 0);
    FUSE_TRY(const UniqueFd stored, open_in(held->get(), temporary, O_RDWR));
    FUSE_TRY(const struct statx status, status_of(stored.get()));
    FUSE_CHECK(owners_.give(stored.get(), status, ownership));  // whatever the folder's group
    FUSE_CHECK(done(renameat(held->get(), temporary.c_str(), held->get(), name.c_str())));
    unfinished.finish();
    Dead dead;
    std::lock_guard guard(lock_);
    drop_locked(*node, kUpper, dead);
    by_identity_[kUpper].erase(node->places[kUpper].identity);
    node->places[kUpper].identity = identity_of(status);
    by_identity_[kUpper][node->places[kUpper].identity] = node.get();
    return {};
}

Outcome<> Tree::give(const NodePtr& node, const Ownership& ownership) {
    FUSE_TRY(const Held held, hold_for_change(node));
    FUSE_TRY(const struct statx host, status_of(held->get()));
    if (!can_be_opened(host)) return give_link(node, held->get(), host, ownership);
    auto fd = reopen(held->get(), O_RDONLY);
    if (!fd && fd.error() == EACCES && is_type(host, S_IFREG)) fd = reopen(held->get(), O_WRONLY);
    if (!fd) return refuse(fd.error());
    return owners_.give(fd->get(), host, ownership);
}

}  // namespace doppel::fuse
