#include "fuse/owners.h"

#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "fuse/host.h"

namespace doppel::fuse {

namespace {

constexpr unsigned kPermissions = 07777;
constexpr unsigned kReadWriteExecute = 0777;
constexpr unsigned kOwnerOfFile = 0600, kOwnerOfFolder = 0700;  // what the host's user always keeps
constexpr size_t kLongestText = 64;

bool is_special(unsigned mode) {
    const unsigned type = mode & S_IFMT;
    return type == S_IFCHR || type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK;
}

std::optional<Ownership> stored(int fd) {
    std::array<char, kLongestText> text;
    const ssize_t length = getxattr(path_of(fd).c_str(), kStatAttribute, text.data(), text.size());
    if (length <= 0) return std::nullopt;
    return ownership_from({text.data(), static_cast<size_t>(length)});
}

}  // namespace

Ownership ownership_of(const struct statx& status) {
    return {status.stx_mode, status.stx_uid, status.stx_gid, status.stx_rdev_major, status.stx_rdev_minor};
}

std::string text_of(const Ownership& ownership) {
    std::array<char, 16> mode;
    char* end = std::to_chars(mode.data(), mode.data() + mode.size(), ownership.mode, 8).ptr;
    std::string text(mode.data(), end);
    for (uint32_t number : {ownership.uid, ownership.gid, ownership.major, ownership.minor})
        text += " " + std::to_string(number);
    return text;
}

std::optional<Ownership> ownership_from(std::string_view text) {
    Ownership found;
    const char* at = text.data();
    const char* end = at + text.size();
    bool first = true;
    for (uint32_t* number : {&found.mode, &found.uid, &found.gid, &found.major, &found.minor}) {
        if (!first && (at == end || *at++ != ' ')) return std::nullopt;
        const auto [next, error] = std::from_chars(at, end, *number, first ? 8 : 10);
        if (error != std::errc()) return std::nullopt;
        at = next;
        first = false;
    }
    if (at != end || found.mode > (S_IFMT | kPermissions)) return std::nullopt;
    return found;
}

bool Owners::may_store(const struct statx& host) const {
    if (!stores_ || !can_be_opened(host)) return false;
    // Root's own view needs it for special files alone, which are empty.
    if (kind_ == Kind::kReal) return is_type(host, S_IFREG) && host.stx_size == 0;
    return host.stx_uid == user_;
}

void Owners::show(struct statx& status) const {
    if (kind_ == Kind::kReal) return;
    status.stx_uid = status.stx_uid == user_ ? seen_as_ : kNobody;
    status.stx_gid = status.stx_gid == group_ ? seen_as_ : kNobody;
}

void Owners::show(struct statx& status, int fd) const {
    const auto own = may_store(status) ? stored(fd) : std::nullopt;
    if (!own) return show(status);
    unsigned type = own->mode & S_IFMT;
    if (type == 0 || !is_type(status, S_IFREG) || (!is_special(type) && type != S_IFLNK))
        type = status.stx_mode & S_IFMT;
    if (kind_ == Kind::kReal && !is_special(type)) return;
    status.stx_mode = static_cast<uint16_t>(type | (own->mode & kPermissions));
    status.stx_uid = own->uid;
    status.stx_gid = own->gid;
    if (type == S_IFCHR || type == S_IFBLK) {
        status.stx_rdev_major = own->major;
        status.stx_rdev_minor = own->minor;
    }
}

unsigned Owners::host_mode(unsigned mode, bool folder) const {
    if (kind_ == Kind::kReal) return mode & kPermissions;
    return (mode & kReadWriteExecute) | (folder ? kOwnerOfFolder : kOwnerOfFile);
}

Outcome<> Owners::give_real(int fd, const struct statx& host, const Ownership& ownership) const {
    const bool other = host.stx_uid != ownership.uid || host.stx_gid != ownership.gid;
    if (other) FUSE_CHECK(done(fchown(fd, ownership.uid, ownership.gid)));
    // A change of owner takes set-user-id bits away.
    const unsigned mode = ownership.mode & kPermissions;
    if ((host.stx_mode & kPermissions) != mode || (other && (mode & (S_ISUID | S_ISGID)) != 0))
        FUSE_CHECK(done(fchmod(fd, mode)));
    return {};
}

Outcome<> Owners::give_mapped(int fd, const struct statx& host, const Ownership& ownership) const {
    const bool folder = is_type(host, S_IFDIR);
    const unsigned mode = host_mode(ownership.mode, folder);
    struct statx plain = host;
    plain.stx_mode = static_cast<uint16_t>((host.stx_mode & S_IFMT) | mode);
    show(plain);
    if (ownership == ownership_of(plain)) {
        if (fremovexattr(fd, kStatAttribute) != 0 && errno != ENODATA && errno != EOPNOTSUPP) return refuse(errno);
    } else if (const std::string text = text_of(ownership); !stores_) {
        return refuse(EPERM);
    } else if (fsetxattr(fd, kStatAttribute, text.data(), text.size(), 0) != 0) {
        return refuse(errno);
    }
    if ((host.stx_mode & kPermissions) != mode) FUSE_CHECK(done(fchmod(fd, mode)));
    return {};
}

Outcome<> Owners::give(int fd, const struct statx& host, const Ownership& ownership) const {
    const bool special = is_type(host, S_IFREG) && (is_special(ownership.mode) || S_ISLNK(ownership.mode));
    if (kind_ == Kind::kMapped) return give_mapped(fd, host, ownership);
    if (!special) return give_real(fd, host, ownership);
    const std::string text = text_of(ownership);
    if (!stores_) return refuse(EPERM);
    return done(fsetxattr(fd, kStatAttribute, text.data(), text.size(), 0));
}

}  // namespace doppel::fuse
