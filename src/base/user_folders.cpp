#include "base/user_folders.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace doppel {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPurpose = "open the state folder";

// A variable that holds an absolute path; the XDG specification ignores others.
const char* absolute(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && value[0] == '/' ? value : nullptr;
}

}  // namespace

Result<UserFolders> user_folders() {
    if (const char* chosen = std::getenv("DOPPEL_STATE"); chosen != nullptr && chosen[0] != '\0') {
        if (chosen[0] != '/') return fail(Error{kPurpose, "DOPPEL_STATE", "it is no absolute path", "begin it with /"});
        return UserFolders{chosen, fs::path(chosen) / "run"};
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
    if (runtime == nullptr || !fs::is_directory(runtime, ignored)) return UserFolders{root, root / "run"};
    return UserFolders{root, fs::path(runtime) / "doppel"};
}

Result<> make_private_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder.parent_path(), error);
    if (!error && mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) error = {errno, std::generic_category()};
    if (error) return fail(Error::system(kPurpose, folder, error.value()));
    if (!fs::is_directory(folder, error)) return fail(Error::system(kPurpose, folder, ENOTDIR));
    return {};
}

}  // namespace doppel
