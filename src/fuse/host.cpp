#include "fuse/host.h"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace doppel::fuse {

namespace {

constexpr unsigned kWanted = STATX_BASIC_STATS | STATX_BTIME;

Outcome<struct statx> status(int fd, const char* name, int flags) {
    struct statx found {};
    if (statx(fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kWanted, &found) != 0) return refuse(errno);
    return found;
}

}  // namespace

Identity identity_of(const struct statx& status) {
    Identity identity{.device = uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor, .inode = status.stx_ino};
    if ((status.stx_mask & STATX_BTIME) != 0) {
        identity.born = status.stx_btime.tv_sec;
        identity.born_nanoseconds = status.stx_btime.tv_nsec;
    }
    return identity;
}

bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." && name.find('/') == name.npos &&
           name.find('\0') == name.npos;
}

Outcome<struct statx> status_of(int fd) {
    return status(fd, "", AT_EMPTY_PATH);
}

Outcome<struct statx> status_in(int folder, const std::string& name) {
    return status(folder, name.c_str(), 0);
}

Outcome<UniqueFd> open_in(int folder, const std::string& name, int flags, unsigned mode) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how)));
    if (!fd) return refuse(errno);
    return fd;
}

std::string path_of(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

Outcome<UniqueFd> reopen(int fd, int flags) {
    UniqueFd opened(open(path_of(fd).c_str(), flags | O_CLOEXEC | O_NOCTTY));
    if (!opened) return refuse(errno);
    return opened;
}

}  // namespace doppel::fuse
