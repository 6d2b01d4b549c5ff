#include "storage/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

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

// "process 12 (qemu-img)", of the first that has the file open, or empty. Locks of this kind name no process.
std::string holder(int fd) {
    struct stat wanted {};
    if (::fstat(fd, &wanted) != 0) return {};
    std::error_code error;
    for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
        const std::string id = process.path().filename();
        if (id.find_first_not_of("0123456789") != std::string::npos || id == std::to_string(::getpid())) continue;
        std::error_code hidden;
        for (const auto& open : std::filesystem::directory_iterator(process.path() / "fd", hidden)) {
            struct stat found {};
            if (::stat(open.path().c_str(), &found) != 0 || found.st_dev != wanted.st_dev ||
                found.st_ino != wanted.st_ino || found.st_rdev != wanted.st_rdev)
                continue;
            std::string name;
            std::ifstream(process.path() / "comm") >> name;
            return fmt::format("process {} ({})", id, name);
        }
    }
    return {};
}

Error in_use(int fd, const std::filesystem::path& path, Access access) {
    const std::string who = holder(fd);
    return {
        access == Access::kWrite ? "lock disk for writing" : "lock disk for reading", path.string(),
        (who.empty() ? "something else" : who) + " uses it" + (access == Access::kRead ? " and may write to it" : ""),
        "end that first"};
}

bool locks_are_missing(int error_number) {
    return error_number == ENOLCK || error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == EINVAL;
}

}  // namespace

Result<> lock_file(int fd, const std::filesystem::path& path, Access access) {
    const bool writing = access == Access::kWrite;
    for (const off_t right : {kRead, kWrite, kResize}) {
        const bool used = right == kRead || writing;
        const bool refused = right != kRead;  // others may read what is only read
        if ((used && !set(fd, kUsed + right)) || ((refused || writing) && !set(fd, kRefused + right))) {
            if (locks_are_missing(errno)) return {};
            return fail(Error::system("lock disk", path.string(), errno));
        }
        if ((used && others_hold(fd, kRefused + right)) || ((refused || writing) && others_hold(fd, kUsed + right)))
            return fail(in_use(fd, path, access));
    }
    return {};
}

}  // namespace doppel::storage
