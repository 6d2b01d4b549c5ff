#include "storage/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

namespace doppel::storage {

namespace {

constexpr off_t kUsed = 100, kRefused = 200;
// The rights' numbers, QEMU's.
constexpr off_t kRead = 0, kWrite = 1, kResize = 3;

bool set(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool others_hold(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// How many of the process's descriptors are of that file.
unsigned count_open(const std::filesystem::path& process, const struct stat& file) {
    unsigned count = 0;
    std::error_code gone;  // processes end meanwhile, and others' cannot be looked at
    for (std::filesystem::directory_iterator at(process / "fd", gone), end; !gone && at != end; at.increment(gone)) {
        struct stat found {};
        if (::stat(at->path().c_str(), &found) == 0 && found.st_dev == file.st_dev && found.st_ino == file.st_ino)
            count++;
    }
    return count;
}

// "process 12 (qemu-img)", of the first that has the file open, or empty. Locks of this kind name no process.
std::string holder(int fd) {
    struct stat file {};
    if (::fstat(fd, &file) != 0) return {};
    const std::string self = std::to_string(::getpid());
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
        const std::string id = at->path().filename();
        if (id.find_first_not_of("0123456789") != std::string::npos) continue;
        if (count_open(at->path(), file) < (id == self ? 2u : 1u)) continue;
        if (id == self) return "this command itself";
        std::string name;
        std::ifstream(at->path() / "comm") >> name;
        return fmt::format("process {} ({})", id, name);
    }
    return {};
}

Error in_use(const std::string& who, const std::filesystem::path& path, Access access) {
    return {
        access == Access::kWrite ? "lock disk for writing" : "lock disk for reading", path.string(),
        (who.empty() ? "something else" : who) + " uses it" + (access == Access::kRead ? " and may write to it" : ""),
        "end that first"};
}

bool locks_are_missing(int error_number) {
    return error_number == ENOLCK || error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == EINVAL;
}

// What a kernel has begun for a process that was killed it finishes, and keeps the file and its locks until then.
constexpr int kPatience = 100;
constexpr useconds_t kPause = 20'000;

}  // namespace

Result<> lock_file(int fd, const std::filesystem::path& path, Access access) {
    const bool writing = access == Access::kWrite;
    auto used = [&](off_t right) { return right == kRead || writing; };
    auto refused = [&](off_t right) { return right != kRead || writing; };  // others may read what is only read
    constexpr std::array kRights{kRead, kWrite, kResize};
    for (const off_t right : kRights) {
        if ((used(right) && !set(fd, kUsed + right)) || (refused(right) && !set(fd, kRefused + right))) {
            if (locks_are_missing(errno)) return {};
            return fail(Error::system("lock disk", path.string(), errno));
        }
    }
    for (int tries = 0;; tries++) {
        const bool taken = std::ranges::any_of(kRights, [&](off_t right) {
            return (used(right) && others_hold(fd, kRefused + right)) ||
                   (refused(right) && others_hold(fd, kUsed + right));
        });
        if (!taken) return {};
        const std::string who = holder(fd);
        if (!who.empty() || tries == kPatience) return fail(in_use(who, path, access));
        ::usleep(kPause);
    }
}

}  // namespace doppel::storage
