// What lies where in an instance's two directories, and what its locks mean: shared by the keeper and all verbs.
//
// The instance's directory, STATE/instances/ID, is there as long as the instance; the runtime directory, RUNTIME/ID,
// while it runs (docs/instances.md).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace doppel::instance {

// In the instance's directory.
inline constexpr const char* kLockFile = "lock";
inline constexpr const char* kStatusFile = "status";      // how it runs or ended (keeper/record.h)
inline constexpr const char* kLogFile = "console.log";    // and console.log.1 .. kLogFiles: what the guest printed
inline constexpr const char* kMessagesFile = "messages";  // what doppel-machine said since its start
// A line "LIMIT VERSION PATH" for each limit that a cgroup carries; the keeper needs the paths alone. It is there
// before the cgroups are, and goes when they have gone.
inline constexpr const char* kCgroupsFile = "cgroups";
// In the runtime directory: sockets.
inline constexpr const char* kConsoleSocket = "console";
inline constexpr const char* kControlSocket = "control";
inline constexpr const char* kAgentSocket = "agent";

// Bytes of the lock file, locked as open file descriptions (fcntl(2), F_OFD_SETLK).
inline constexpr off_t kRunsByte = 0;     // held by the keeper and the machine's process: somebody runs
inline constexpr off_t kChangesByte = 1;  // held by whoever starts, removes or repairs the instance

inline constexpr int kLogFiles = 3;  // old ones that are kept

enum class Restart : uint8_t { kNo, kOnFailure, kAlways };

}  // namespace doppel::instance
