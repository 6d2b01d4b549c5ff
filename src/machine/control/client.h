// The asker's side of a machine's control socket.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "machine/control/protocol.h"

namespace doppel::machine::control {

// Connects, asks and waits for the answer, `patience` milliseconds at most for each step (-1: without end).
Result<Status> ask(const std::filesystem::path& socket, const Request& request, int patience);

}  // namespace doppel::machine::control
