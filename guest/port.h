// The virtio port that leads to the host.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace doppel::guest {

inline constexpr const char* kPortName = "org.doppel.agent";

// Non-blocking. `where` is a port's name, or a path: of a character device, or of a Unix socket to connect to. Invalid
// with errno: ENOENT when there is no such port.
UniqueFd open_port(const std::string& where);

}  // namespace doppel::guest
