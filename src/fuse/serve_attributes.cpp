// Extended attributes.
#include <linux/limits.h>
#include <sys/xattr.h>

#include <cerrno>
#include <vector>

#include "fuse/extended_names.h"
#include "fuse/server.h"

namespace doppel::fuse {

namespace {

// The length alone when there is no room in the request, else all of it.
Outcome<> put_value(Output& out, std::span<const char> value, uint32_t size) {
    if (size == 0) {
        const fuse_getxattr_out length{static_cast<uint32_t>(value.size()), 0};
        return out.put(length) ? Outcome<>() : refuse(EIO);
    }
    if (value.size() > size || !out.put(value.data(), value.size())) return refuse(ERANGE);
    return {};
}

bool can_have(const struct statx& host) {
    return is_type(host, S_IFREG) || is_type(host, S_IFDIR);
}

}  // namespace

Outcome<> Server::set_extended(Call& call) {
    struct {  // FUSE_COMPAT_SETXATTR_IN_SIZE: without FUSE_SETXATTR_EXT
        uint32_t size, flags;
    } in;
    FUSE_TRY(const NodePtr node, node_of(call));
    if (!call.in.take(in)) return refuse(EINVAL);
    const auto name = call.in.take_text(XATTR_NAME_MAX);
    if (!name || in.size > XATTR_SIZE_MAX || in.size > call.in.left()) return refuse(EINVAL);
    if (name->starts_with(kOwnPrefix)) return refuse(EPERM);
    const auto kept = host_name(*name, tree_->owners().kind());
    if (!kept) return refuse(EOPNOTSUPP);
    std::vector<char> value(in.size);
    if (!call.in.take(value.data(), value.size())) return refuse(EINVAL);
    FUSE_TRY(const Held held, tree_->hold_for_change(node));
    FUSE_TRY(const struct statx host, status_of(held->get()));
    if (!can_have(host)) return refuse(name->starts_with("user.") ? EPERM : EOPNOTSUPP);
    FUSE_TRY(const UniqueFd fd, reopen(held->get(), O_RDONLY));
    return done(fsetxattr(fd.get(), kept->c_str(), value.data(), value.size(), static_cast<int>(in.flags)));
}

Outcome<> Server::get_extended(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    fuse_getxattr_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    const auto name = call.in.take_text(XATTR_NAME_MAX);
    if (!name) return refuse(EINVAL);
    const auto kept = host_name(*name, tree_->owners().kind());
    if (!kept) return refuse(name->starts_with(kOwnPrefix) ? ENODATA : EOPNOTSUPP);
    FUSE_TRY(const Held held, tree_->hold(node));
    std::vector<char> value(XATTR_SIZE_MAX);
    const ssize_t length = getxattr(path_of(held->get()).c_str(), kept->c_str(), value.data(), value.size());
    if (length < 0) return refuse(errno);
    return put_value(call.out, std::span(value).first(static_cast<size_t>(length)), in.size);
}

Outcome<> Server::list_extended(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    fuse_getxattr_in in;
    if (!call.in.take(in)) return refuse(EINVAL);
    FUSE_TRY(const Held held, tree_->hold(node));
    std::vector<char> names(XATTR_LIST_MAX);
    const ssize_t length = listxattr(path_of(held->get()).c_str(), names.data(), names.size());
    if (length < 0) return refuse(errno);
    std::string shown;
    for (const char* at = names.data(); at < names.data() + length;) {
        const std::string_view name(at);
        at += name.size() + 1;
        if (const auto client = client_name(name, tree_->owners().kind())) shown += *client + '\0';
    }
    return put_value(call.out, shown, in.size);
}

Outcome<> Server::remove_extended(Call& call) {
    FUSE_TRY(const NodePtr node, node_of(call));
    const auto name = call.in.take_text(XATTR_NAME_MAX);
    if (!name) return refuse(EINVAL);
    const auto kept = host_name(*name, tree_->owners().kind());
    if (!kept) return refuse(name->starts_with(kOwnPrefix) ? EPERM : EOPNOTSUPP);
    FUSE_TRY(const Held held, tree_->hold_for_change(node));
    FUSE_TRY(const struct statx host, status_of(held->get()));
    if (!can_have(host)) return refuse(name->starts_with("user.") ? EPERM : ENODATA);
    FUSE_TRY(const UniqueFd fd, reopen(held->get(), O_RDONLY));
    return done(fremovexattr(fd.get(), kept->c_str()));
}

}  // namespace doppel::fuse
