#include "image/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

namespace doppel::image {

Result<UniqueFd> lock_directory(const std::filesystem::path& directory, const StopRequest& stop,
                                const std::function<void()>& waiting) {
    std::error_code code;
    std::filesystem::create_directories(directory, code);
    if (code) return fail(Error::system("create directory", directory, code.value()));
    auto path = directory / ".lock";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file) return fail(Error::system("lock images", path, errno));
    bool told = false;
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return fail(Error::system("lock images", path, errno));
        if (!told && waiting) waiting();
        told = true;
        // flock(2) cannot wait for the lock and for a stop request at once.
        pollfd entry{stop.fd(), POLLIN, 0};
        if (::poll(&entry, 1, 100) > 0) return fail(StopRequest::error(directory));
    }
    return file;
}

}  // namespace doppel::image
