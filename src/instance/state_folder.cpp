#include "instance/state_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace doppel::instance {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPurpose = "open the state folder";

// A variable that holds an absolute path; the XDG specification ignores others.
const char* absolute(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && value[0] == '/' ? value : nullptr;
}

Result<> make_private(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder.parent_path(), error);
    if (!error && mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) error = {errno, std::generic_category()};
    if (error) return fail(Error::system(kPurpose, folder, error.value()));
    if (!fs::is_directory(folder, error)) return fail(Error::system(kPurpose, folder, ENOTDIR));
    return {};
}

}  // namespace

Result<StateFolder> StateFolder::of_user() {
    if (const char* chosen = std::getenv("DOPPEL_STATE"); chosen != nullptr && chosen[0] != '\0') {
        if (chosen[0] != '/') return fail(Error{kPurpose, "DOPPEL_STATE", "it is no absolute path", "begin it with /"});
        return StateFolder(chosen, fs::path(chosen) / "run");
    }
    fs::path root;
    if (const char* state = absolute("XDG_STATE_HOME")) {
        root = fs::path(state) / "doppel";
    } else if (const char* home = absolute("HOME")) {
        root = fs::path(home) / ".local/state/doppel";
    } else {
        return fail(Error{kPurpose, "HOME", "it is not set to an absolute path", "set HOME or DOPPEL_STATE"});
    }
    const char* runtime = absolute("XDG_RUNTIME_DIR");
    std::error_code ignored;
    if (runtime == nullptr || !fs::is_directory(runtime, ignored)) return StateFolder(root, root / "run");
    return StateFolder(root, fs::path(runtime) / "doppel");
}

Result<> StateFolder::make() const {
    DOPPEL_CHECK(make_private(root_));
    DOPPEL_CHECK(make_private(instances()));
    return make_private(runtime_);
}

Result<> StateFolder::make_for(const std::string& id) const {
    DOPPEL_CHECK(make());
    std::error_code error;
    fs::remove_all(runtime_of(id), error);  // of one that was killed
    DOPPEL_CHECK(make_private(directory_of(id)));
    return make_private(runtime_of(id));
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
