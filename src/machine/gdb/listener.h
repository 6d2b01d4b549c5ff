// Where a debugger connects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::machine::gdb {

struct Listener {
    UniqueFd fd;           // non-blocking
    std::string location;  // as GDB's `target remote` takes it
};

// `where`: see Server::listen. A socket of that path which nobody listens on any more is replaced; removing it in the
// end is the caller's.
Result<Listener> listen_for_debugger(const std::string& where);

// The port that `where` is, or nullopt for a path.
std::optional<uint16_t> debugger_port(const std::string& where);

}  // namespace doppel::machine::gdb
