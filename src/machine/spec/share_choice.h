// One --share option: a folder of the host that the guest sees, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::machine {

struct ShareChoice {
    std::string path;   // of the host's folder
    std::string guest;  // where the guest mounts it: absolute; empty: where it likes
    bool read_only = false;
    bool snapshot = false;  // changes are the machine's own and end with it
    uint32_t owner = 0;     // whom the guest sees as the host's user, by number; nobody is mapped where that is root
    bool operator==(const ShareChoice&) const = default;
};
inline constexpr size_t kMaxShares = 6;

// DIR[:GUESTDIR][,ro][,snapshot][,owner=UID]. The last ':' that a '/' or nothing more comes after ends DIR. Errors are
// of kind usage and name --share.
Result<ShareChoice> share_from(std::string_view text);
// Always with the ':', so that it is read as it was meant.
std::string text_of(const ShareChoice& share);
// What `share_from` looks at, for choices that come from elsewhere.
Result<> check_share(const ShareChoice& share);

}  // namespace doppel::machine
