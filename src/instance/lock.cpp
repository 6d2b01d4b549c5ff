#include "instance/lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace doppel::instance {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPurpose = "lock the instance";

struct flock region(short type, off_t byte) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

bool has_open(pid_t pid, const struct stat& file) {
    std::error_code error;
    fs::directory_iterator entries("/proc/" + std::to_string(pid) + "/fd", error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        struct stat other {};
        if (stat(entries->path().c_str(), &other) == 0 && other.st_dev == file.st_dev && other.st_ino == file.st_ino)
            return true;
    }
    return false;
}

}  // namespace

Result<UniqueFd> open_lock_file(const fs::path& directory) {
    const fs::path path = directory / kLockFile;
    UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return fail(Error::system(kPurpose, path, errno));
    return lock;
}

bool is_locked(int lock, off_t byte) {
    struct flock asked = region(F_WRLCK, byte);
    return fcntl(lock, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
}

bool try_lock(int lock, off_t byte) {
    struct flock asked = region(F_WRLCK, byte);
    return fcntl(lock, F_OFD_SETLK, &asked) == 0;
}

Result<ChangesLock> ChangesLock::wait(const fs::path& directory) {
    constexpr int kStep = 10'000, kTries = 6'000;  // microseconds; a minute in all
    DOPPEL_TRY(UniqueFd lock, open_lock_file(directory));
    for (int i = 0; i < kTries; i++) {
        if (try_lock(lock.get(), kChangesByte)) return ChangesLock(std::move(lock));
        usleep(kStep);
    }
    return fail(Error{kPurpose, directory, "another command is changing it", "try again"});
}

std::optional<ChangesLock> ChangesLock::try_take(const fs::path& directory) {
    auto lock = open_lock_file(directory);
    if (!lock || !try_lock(lock->get(), kChangesByte)) return std::nullopt;
    return ChangesLock(std::move(*lock));
}

std::optional<UniqueFd> open_holder(pid_t pid, const fs::path& directory) {
    struct stat lock {};
    if (pid <= 0 || stat((directory / kLockFile).c_str(), &lock) != 0) return std::nullopt;
    UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!process || !has_open(pid, lock)) return std::nullopt;
    return process;
}

bool send_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

bool wait_for_end(int pidfd, int patience) {
    pollfd process{pidfd, POLLIN, 0};
    int ready = 0;
    while ((ready = poll(&process, 1, patience)) < 0 && errno == EINTR) {
    }
    return ready > 0;
}

}  // namespace doppel::instance
