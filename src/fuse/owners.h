// Owners, modes and devices as clients see them, over files that the host's user owns.
//
// kReal, for root: the host's own. kMapped, for everyone else: files belong to the host's user, who is the client's
// root; what this cannot express is kept in the extended attribute user.doppel.stat of the file. In both modes special
// files (devices, FIFOs, sockets) that a client makes are empty regular files with that attribute, so that none of them
// exists on the host.
//
// The attribute is text: MODE UID GID MAJOR MINOR, the mode octal with its file type: "20666 0 0 1 3". A mode without a
// type is that of the host's file.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fuse/outcome.h"

namespace doppel::fuse {

// Extended attributes of this prefix are the server's own; clients neither see nor set them.
inline constexpr std::string_view kOwnPrefix = "user.doppel.";
inline constexpr const char* kStatAttribute = "user.doppel.stat";
inline constexpr uint32_t kNobody = 65534;  // whom the client does not know

// A file's owner and mode, as a client sees them.
struct Ownership {
    uint32_t mode = 0;  // with the file type
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t major = 0, minor = 0;  // of a device
    bool operator==(const Ownership&) const = default;
};
Ownership ownership_of(const struct statx& status);
std::string text_of(const Ownership& ownership);
// nullopt for anything that `text_of` does not write.
std::optional<Ownership> ownership_from(std::string_view text);

class Owners {
  public:
    enum class Kind { kReal, kMapped };
    // `stores`: the file system takes extended attributes of users. `seen_as`: whom the client sees as the host's user
    // and group where they are mapped, by one number.
    Owners(Kind kind, bool stores, uid_t user, gid_t group, uint32_t seen_as = 0)
        : kind_(kind), stores_(stores), user_(user), group_(group), seen_as_(seen_as) {}

    Kind kind() const { return kind_; }
    // Whether what this process makes is theirs anyway.
    bool made_by(uint32_t uid, uint32_t gid) const { return user_ == uid && group_ == gid; }
    // Whether a client's owner is the host's user, where they are mapped.
    bool is_host_user(uint32_t uid, uint32_t gid) const { return uid == seen_as_ && gid == seen_as_; }
    bool stores() const { return stores_; }
    // Whether a file like this could have the attribute.
    bool may_store(const struct statx& host) const;
    // Makes the client's view of the host's; `fd`, an O_PATH one of the file, is asked for the attribute.
    void show(struct statx& status, int fd) const;
    // The view of a file that has no attribute.
    void show(struct statx& status) const;

    // Gives a file this ownership. `fd` is a real descriptor of a regular file or a folder, `host` its host's status.
    Outcome<> give(int fd, const struct statx& host, const Ownership& ownership) const;
    // With which mode the host makes a file or folder of the client's mode.
    unsigned host_mode(unsigned mode, bool folder) const;

  private:
    Outcome<> give_real(int fd, const struct statx& host, const Ownership& ownership) const;
    Outcome<> give_mapped(int fd, const struct statx& host, const Ownership& ownership) const;

    Kind kind_;
    bool stores_;
    uid_t user_;
    gid_t group_;
    uint32_t seen_as_;
};

}  // namespace doppel::fuse
