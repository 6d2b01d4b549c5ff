// Who runs an instance and who changes it, known by locks of open file descriptions: the kernel frees them when the
// last process that has the file open has ended, however it ended.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "instance/keeper/layout.h"

namespace doppel::instance {

// A description of its own, close-on-exec.
Result<UniqueFd> open_lock_file(const std::filesystem::path& directory);

// Whether another description has the byte locked. Takes nothing.
bool is_locked(int lock, off_t byte);
// The lock lasts as long as the description. False: another one has it.
bool try_lock(int lock, off_t byte);

// While one exists nobody else starts, removes or repairs the instance in `directory`, which exists.
class ChangesLock {
  public:
    static Result<ChangesLock> wait(const std::filesystem::path& directory);             // for others, a minute at most
    static std::optional<ChangesLock> try_take(const std::filesystem::path& directory);  // nothing: others have it

  private:
    explicit ChangesLock(UniqueFd lock) : lock_(std::move(lock)) {}
    UniqueFd lock_;
};

// A pidfd of the process `pid` if it is one that has the lock file open; nothing if it ended, though its number may be
// another's by now.
std::optional<UniqueFd> open_holder(pid_t pid, const std::filesystem::path& directory);
// False: it has ended.
bool send_signal(int pidfd, int signal);
// Whether it has ended before so many milliseconds were over; -1: without end.
bool wait_for_end(int pidfd, int patience);

}  // namespace doppel::instance
