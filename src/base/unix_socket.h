// Unix sockets that have a path.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel {

// The longest path of a socket, in bytes: sockaddr_un::sun_path without its NUL.
inline constexpr size_t kMaxSocketPath = 107;

// The address of `path`, of which kMaxSocketPath bytes count.
sockaddr_un unix_socket_address(const std::filesystem::path& path);

// A socket at `path` that listens, non-blocking, which only its owner may connect to (mode 0600). One of that name that
// nobody listens on any more, as a killed process leaves it, is replaced; anything else there is an error. `purpose`
// names the step in errors: "open console". Removing the file in the end is the caller's.
Result<UniqueFd> listen_on_unix_socket(const std::filesystem::path& path, std::string_view purpose,
                                       int kind = SOCK_STREAM);

}  // namespace doppel
