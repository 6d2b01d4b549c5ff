// The agent as process 1, and as a process that starts the agent again.
#pragma once

#include <string>
#include <vector>

#include "agent/messages.h"

namespace doppel::guest {

inline constexpr int kNoPort = 3;  // exit code: there is nothing to serve

// Serves the port until the process is ended; comes back with an exit code when there is no port.
int serve_port(const std::string& port);
// The same in a child that is started again, a second after it ended, unless there is no port.
int supervise(const std::string& port);
// Process 1: mounts what a system needs, keeps the agent running and starts `command` on the console; powers off when
// it ends. SIGUSR2 powers off, SIGUSR1 halts, SIGTERM and Ctrl-Alt-Del reboot, as with busybox's init.
[[noreturn]] void run_as_init(const std::string& port, std::vector<std::string> command);
// Has run_as_init end the system, if that is where this process comes from; false if it does not.
bool ask_init(agent::PowerAction action);

}  // namespace doppel::guest
