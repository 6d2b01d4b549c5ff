// Making, moving and removing entries of folders.
#include <linux/fs.h>

#include <cerrno>
#include <climits>

#include "fuse/server.h"

namespace doppel::fuse {

namespace {

// new_decode_dev of the client's kernel.
constexpr uint32_t major_of(uint32_t rdev) {
    return (rdev & 0xfff00) >> 8;
}
constexpr uint32_t minor_of(uint32_t rdev) {
    return (rdev & 0xff) | (rdev >> 12 & 0xfff00);
}

}  // namespace

template <class Make>
Outcome<> Server::make(Call& call, uint32_t mode, const std::string& name, Make make) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    const Tree::Maker maker{mode, call.header.uid, call.header.gid};
    FUSE_CHECK(make(folder, maker));
    FUSE_TRY(const auto found, tree_->look_up(folder, name));
    return put_entry(call, found);
}

Outcome<> Server::make_link(Call& call) {
    FUSE_TRY(const std::string name, take_name(call));
    const auto target = call.in.take_text(PATH_MAX - 1);
    if (!target || target->empty()) return refuse(target ? ENOENT : ENAMETOOLONG);
    constexpr uint32_t kMode = S_IFLNK | 0777;
    return make(call, kMode, name, [&](const NodePtr& folder, const Tree::Maker& maker) {
        return tree_->make_link(folder, name, *target, maker);
    });
}

Outcome<> Server::make_node(Call& call) {
    fuse_mknod_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const std::string name, take_name(call));
    return make(call, in.mode, name, [&](const NodePtr& folder, Tree::Maker maker) -> Outcome<> {
        switch (in.mode & S_IFMT) {
            case S_IFREG: {
                FUSE_TRY(const UniqueFd fd, tree_->make_file(folder, name, O_RDONLY, maker));
                return {};
            }
            case S_IFCHR:
            case S_IFBLK:
                maker.major = major_of(in.rdev);
                maker.minor = minor_of(in.rdev);
                return tree_->make_special(folder, name, maker);
            case S_IFIFO:
            case S_IFSOCK:
                return tree_->make_special(folder, name, maker);
            default:
                return refuse(EINVAL);
        }
    });
}

Outcome<> Server::make_folder(Call& call) {
    fuse_mkdir_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const std::string name, take_name(call));
    constexpr uint32_t kPermissions = 07777;
    return make(call, S_IFDIR | (in.mode & kPermissions), name, [&](const NodePtr& folder, const Tree::Maker& maker) {
        return tree_->make_folder(folder, name, maker);
    });
}

Outcome<> Server::remove_file(Call& call) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    FUSE_TRY(const std::string name, take_name(call));
    return tree_->remove(folder, name, false);
}

Outcome<> Server::remove_folder(Call& call) {
    FUSE_TRY(const NodePtr folder, node_of(call));
    FUSE_TRY(const std::string name, take_name(call));
    return tree_->remove(folder, name, true);
}

Outcome<> Server::rename(Call& call) {
    fuse_rename_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const NodePtr from, node_of(call));
    FUSE_TRY(const NodePtr to, node_of(in.newdir));
    FUSE_TRY(const std::string from_name, take_name(call));
    FUSE_TRY(const std::string to_name, take_name(call));
    return tree_->rename({from, from_name}, {to, to_name}, 0);
}

Outcome<> Server::rename_with_flags(Call& call) {
    fuse_rename2_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    if (in.flags != 0 && in.flags != RENAME_NOREPLACE && in.flags != RENAME_EXCHANGE) return refuse(EINVAL);
    FUSE_TRY(const NodePtr from, node_of(call));
    FUSE_TRY(const NodePtr to, node_of(in.newdir));
    FUSE_TRY(const std::string from_name, take_name(call));
    FUSE_TRY(const std::string to_name, take_name(call));
    return tree_->rename({from, from_name}, {to, to_name}, in.flags);
}

Outcome<> Server::link(Call& call) {
    fuse_link_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const NodePtr folder, node_of(call));
    FUSE_TRY(const NodePtr node, node_of(in.oldnodeid));
    FUSE_TRY(const std::string name, take_name(call));
    FUSE_CHECK(tree_->link(node, folder, name));
    FUSE_TRY(const auto found, tree_->look_up(folder, name));
    return put_entry(call, found);
}

}  // namespace doppel::fuse
