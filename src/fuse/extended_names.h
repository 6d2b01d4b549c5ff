// Names of extended attributes: a client's, and those that the host keeps them under.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fuse/owners.h"

namespace doppel::fuse {

// Attributes that the host would act on, or that take privileges, are kept under this prefix in front of their name.
inline constexpr std::string_view kStoredPrefix = "user.doppel.xattr.";
inline constexpr const char* kStoredCapabilities = "user.doppel.xattr.security.capability";

// The host's name; nullopt where there is none.
std::optional<std::string> host_name(std::string_view name, Owners::Kind kind);
// The client's name; nullopt for what it does not see.
std::optional<std::string> client_name(std::string_view name, Owners::Kind kind);

}  // namespace doppel::fuse
