#include "instance/state_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/user_folders.h"

namespace doppel::instance {

namespace fs = std::filesystem;

Result<StateFolder> StateFolder::of_user() {
    DOPPEL_TRY(auto folders, user_folders());
    return StateFolder(std::move(folders.state), std::move(folders.runtime));
}

Result<> StateFolder::make() const {
    DOPPEL_CHECK(make_private_folder(root_));
    DOPPEL_CHECK(make_private_folder(instances()));
    return make_private_folder(runtime_);
}

Result<> StateFolder::make_for(const std::string& id) const {
    DOPPEL_CHECK(make());
    std::error_code error;
    fs::remove_all(runtime_of(id), error);  // of one that was killed
    DOPPEL_CHECK(make_private_folder(directory_of(id)));
    return make_private_folder(runtime_of(id));
}

Result<ShortPath> ShortPath::of(const fs::path& folder) {
    const int fd = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail(Error::system("reach the instance", folder, errno));
    return ShortPath(fd);
}

fs::path ShortPath::operator/(const char* name) const {
    return fs::path("/proc/self/fd") / std::to_string(fd_) / name;
}

ShortPath::~ShortPath() {
    if (fd_ >= 0) close(fd_);
}

}  // namespace doppel::instance
