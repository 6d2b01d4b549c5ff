#include "guest/accounts.h"

#include <algorithm>
#include <charconv>

namespace doppel::guest {

namespace {

// passwd(5), group(5): fields between colons.
std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    while (true) {
        const size_t end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::optional<uint32_t> number(std::string_view text) {
    uint32_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || value == ~0u) return std::nullopt;
    return value;
}

std::optional<gid_t> find_group(std::string_view who, std::string_view group) {
    for (std::string_view line : split(group, '\n')) {
        const auto parts = split(line, ':');
        if (parts.size() >= 3 && parts[0] == who) return number(parts[2]);
    }
    return number(who);
}

}  // namespace

std::optional<Account> find_account(std::string_view who, const std::string& passwd, const std::string& group) {
    const size_t colon = who.find(':');
    const std::string_view user = who.substr(0, colon);
    const auto wanted = number(user);
    Account account;
    bool found = false;
    for (std::string_view line : split(passwd, '\n')) {
        const auto parts = split(line, ':');
        if (parts.size() < 7) continue;
        const auto uid = number(parts[2]), gid = number(parts[3]);
        if (!uid || !gid || (parts[0] != user && uid != wanted)) continue;
        account = {*uid, *gid, {}, std::string(parts[0]), std::string(parts[5]), std::string(parts[6])};
        found = true;
        break;
    }
    if (!found) {
        if (!wanted) return std::nullopt;
        account.user = *wanted;
    }
    if (colon != who.npos) {
        const auto gid = find_group(who.substr(colon + 1), group);
        if (!gid) return std::nullopt;
        account.group = *gid;
    }
    account.groups.push_back(account.group);
    for (std::string_view line : split(group, '\n')) {
        const auto parts = split(line, ':');
        if (account.name.empty() || parts.size() < 4) continue;
        const auto members = split(parts[3], ',');
        const auto gid = number(parts[2]);
        if (gid && *gid != account.group && std::find(members.begin(), members.end(), account.name) != members.end()) {
            account.groups.push_back(*gid);
        }
    }
    return account;
}

}  // namespace doppel::guest
