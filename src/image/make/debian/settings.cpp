#include "image/make/debian/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "image/makeable.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kKeyLimit = 64 << 10;  // bytes of a file
constexpr size_t kNameLimit = 32;         // useradd(8)

bool is_base64(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
           c == '=';
}

bool is_key(std::string_view line) {
    const size_t blank = line.find(' ');
    if (blank == line.npos) return false;
    const std::string_view kind = line.substr(0, blank);
    std::string_view body = line.substr(blank + 1);
    body = body.substr(0, body.find(' '));
    const bool known = kind == "ssh-ed25519" || kind == "ssh-rsa" || kind.starts_with("ecdsa-sha2-nistp") ||
                       kind == "sk-ssh-ed25519@openssh.com" || kind == "sk-ecdsa-sha2-nistp256@openssh.com";
    return known && !body.empty() && std::ranges::all_of(body, is_base64);
}

fs::path home_of(const passwd* entry) {
    const char* home = std::getenv("HOME");
    if (home && home[0] == '/') return home;
    return entry && entry->pw_dir ? entry->pw_dir : "/nonexistent";
}

}  // namespace

bool is_user_name(std::string_view name) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    return !name.empty() && name.size() <= kNameLimit && letter(name[0]) &&
           std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

std::string public_keys(std::string_view text) {
    std::string keys;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const bool plain = std::ranges::none_of(line, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
        if (plain && is_key(line)) keys.append(line).append("\n");
    }
    return keys;
}

DebianUser calling_user() {
    DebianUser user;
    user.uid = guest_uid();
    const passwd* entry = ::getpwuid(::geteuid());
    if (user.uid != 0)
        user.name = entry && user.uid == ::geteuid() && is_user_name(entry->pw_name) ? entry->pw_name : "user";
    const fs::path folder = home_of(entry) / ".ssh";
    for (const char* kind : {"ed25519", "ecdsa", "rsa", "ed25519_sk", "ecdsa_sk"}) {
        const auto text = read_file(folder / (std::string("id_") + kind + ".pub"), kKeyLimit, "read public key");
        if (text) user.keys += public_keys({reinterpret_cast<const char*>(text->data()), text->size()});
    }
    return user;
}

}  // namespace doppel::image
