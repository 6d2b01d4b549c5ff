// Users and groups from /etc/passwd and /etc/group: the C library's way would load libraries (NSS).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::guest {

struct Account {
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups;  // all of them
    std::string name, home, shell;
};

// NAME, NUMBER, NAME:GROUP, NUMBER:NUMBER; a number need not be in the file. nullopt: there is none.
std::optional<Account> find_account(std::string_view who, const std::string& passwd, const std::string& group);

}  // namespace doppel::guest
