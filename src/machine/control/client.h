// The asker's side of a machine's control socket.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "machine/control/protocol.h"

namespace doppel::machine::control {

// Connects, asks and waits for the answer, `patience` milliseconds at most for each step (-1: without end).
// A descriptor goes with it, which stays the caller's; -1: none.
Result<Status> ask(const std::filesystem::path& socket, const Request& request, int patience, int descriptor = -1);

}  // namespace doppel::machine::control
