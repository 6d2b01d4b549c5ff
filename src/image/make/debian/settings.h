// What makes one Debian image differ from another besides its packages.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::image {

struct DebianUser {
    std::string name = "root";
    uid_t uid = 0;
    std::string keys;  // what becomes ~/.ssh/authorized_keys: whole lines
};

struct DebianSettings {
    std::string suite;
    std::string mirror;   // as apt takes it
    std::string keyring;  // of the image, for apt: a path in it
    DebianUser user;
};

// Letters of portable user names alone, so that it can be nothing else in a script (useradd(8), "CAVEATS").
bool is_user_name(std::string_view name);

// Who calls, with the public keys in ~/.ssh. A name that Debian does not take becomes "user"; so does that of another
// user than root with root's or a system's number.
DebianUser calling_user();

// The keys of one public key file (sshd(8), "AUTHORIZED_KEYS FILE FORMAT") that are of a known kind, a line each.
std::string public_keys(std::string_view text);

}  // namespace doppel::image
