#include "fuse/extended_names.h"

namespace doppel::fuse {

namespace {

constexpr std::string_view kCapability = "security.capability";

bool is_kept(std::string_view name) {
    return name.starts_with("security.") || name.starts_with("trusted.");
}

}  // namespace

std::optional<std::string> host_name(std::string_view name, Owners::Kind kind) {
    if (name.starts_with(kOwnPrefix)) return std::nullopt;
    if (name.starts_with("user.")) return std::string(name);
    // A file with real owners has real capabilities too, as it has set-user-id bits.
    if (kind == Owners::Kind::kReal && name == kCapability) return std::string(name);
    if (is_kept(name)) return std::string(kStoredPrefix) + std::string(name);
    return std::nullopt;
}

std::optional<std::string> client_name(std::string_view name, Owners::Kind kind) {
    if (name.starts_with(kStoredPrefix)) {
        name.remove_prefix(kStoredPrefix.size());
        if (is_kept(name)) return std::string(name);
        return std::nullopt;
    }
    if (name.starts_with(kOwnPrefix)) return std::nullopt;
    if (name.starts_with("user.")) return std::string(name);
    if (kind == Owners::Kind::kReal && name == kCapability) return std::string(name);
    return std::nullopt;
}

}  // namespace doppel::fuse
