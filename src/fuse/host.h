// The host's files as the server reaches them: through descriptors and single names, never by a path that a client
// makes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "fuse/outcome.h"

namespace doppel::fuse {

// A file for as long as it exists: an inode number alone is used again.
struct Identity {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t born = 0;  // seconds, 0 where the file system does not know
    uint32_t born_nanoseconds = 0;
    bool operator==(const Identity&) const = default;
};
Identity identity_of(const struct statx& status);

struct IdentityHash {
    size_t operator()(const Identity& identity) const {
        constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;
        return static_cast<size_t>((identity.inode ^ identity.device << 32) * kSpread);
    }
};

inline bool is_type(const struct statx& status, unsigned type) {
    return (status.stx_mode & S_IFMT) == type;
}
// What may be opened: anything else can block, or act on a device.
inline bool can_be_opened(const struct statx& status) {
    return is_type(status, S_IFREG) || is_type(status, S_IFDIR);
}

// One component of a path that stays in its folder: not empty, at most NAME_MAX bytes, no '/', not "." or "..".
bool valid_name(std::string_view name);

Outcome<struct statx> status_of(int fd);  // with O_PATH too
// Not of what a link leads to.
Outcome<struct statx> status_in(int folder, const std::string& name);
// The entry of a folder, no link followed, O_CLOEXEC added.
Outcome<UniqueFd> open_in(int folder, const std::string& name, int flags, unsigned mode = 0);
// Opens anew what an O_PATH descriptor of a regular file or a folder stands for.
Outcome<UniqueFd> reopen(int fd, int flags);
// The name by which calls that only take paths reach an open file.
std::string path_of(int fd);

// 0 as success of a system call, else errno.
inline Outcome<> done(int returned) {
    if (returned != 0) return refuse(errno);
    return {};
}

}  // namespace doppel::fuse
