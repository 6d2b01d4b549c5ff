#include "instance/keeper/cgroups.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include "instance/keeper/layout.h"

namespace doppel::instance {
namespace {

// Calls `what` with each path of the file, until one is false.
template <class What>
bool for_each_path(int directory, char* path, What what) {
    constexpr size_t kSize = 4 * PATH_MAX;
    static char text[kSize];
    const int fd = openat(directory, kCgroupsFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return true;
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size<kSize - 1; size += got> 0 ? static_cast<size_t>(got) : 0)
        got = read(fd, text + size, kSize - 1 - size);
    close(fd);
    text[size] = '\0';
    for (char *line = text, *end; (end = strchr(line, '\n')) != nullptr; line = end + 1) {
        *end = '\0';
        const char* const start = strchr(line, '/');
        if (start == nullptr || strlen(start) >= PATH_MAX) continue;
        strcpy(path, start);
        if (!what(path)) return false;
    }
    return true;
}

bool join(const char* group) {
    char procs[PATH_MAX + 16];
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    const int fd = open(procs, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    const bool joined = write(fd, "0", 1) == 1;
    const int error = errno;
    close(fd);
    errno = error;
    return joined;
}

}  // namespace

const char* join_cgroups(int directory, char* path) {
    return for_each_path(directory, path, join) ? nullptr : path;
}

void remove_cgroups(int directory) {
    // What the machine had started ends a moment after it.
    constexpr int kLooks = 50;
    constexpr useconds_t kStep = 10'000;  // microseconds
    char path[PATH_MAX];
    for (int i = 0; i < kLooks; i++) {
        bool all = true;
        for_each_path(directory, path, [&all](const char* group) {
            if (rmdir(group) != 0 && errno != ENOENT) all = false;
            return true;
        });
        if (all) {
            unlinkat(directory, kCgroupsFile, 0);
            return;
        }
        usleep(kStep);
    }
}

}  // namespace doppel::instance
