#include "instance/keeper/rotating_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "instance/keeper/layout.h"

namespace doppel::instance {

RotatingLog::~RotatingLog() {
    if (fd_ >= 0) close(fd_);
}

bool RotatingLog::open() {
    if (fd_ >= 0) return true;
    fd_ = openat(directory_, name_, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat status {};
    if (fd_ < 0 || fstat(fd_, &status) != 0) return false;
    size_ = static_cast<uint64_t>(status.st_size);
    return true;
}

void RotatingLog::rotate() {
    constexpr size_t kLongest = 64;
    char from[kLongest], to[kLongest];
    for (int i = kLogFiles; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%d", name_, i);
        if (i == 1)
            snprintf(from, sizeof from, "%s", name_);
        else
            snprintf(from, sizeof from, "%s.%d", name_, i - 1);
        renameat(directory_, from, directory_, to);  // the older ones may be missing
    }
    close(fd_);
    fd_ = -1;
}

void RotatingLog::write(const void* bytes, size_t size) {
    const auto* next = static_cast<const uint8_t*>(bytes);
    while (size > 0 && open()) {
        if (limit_ != 0 && size_ >= limit_) {
            rotate();
            continue;
        }
        const ssize_t put = ::write(fd_, next, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return;
        next += put;
        size -= static_cast<size_t>(put);
        size_ += static_cast<uint64_t>(put);
    }
}

}  // namespace doppel::instance
