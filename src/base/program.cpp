#include "base/program.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace doppel {

Result<std::string> beside(const std::string& name) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return fail(Error::system("find " + name, "/proc/self/exe", error.value()));
    const auto folder = self.parent_path(), prefix = folder.parent_path();
    for (const auto& place : {folder, prefix / "libexec" / "doppel", prefix.parent_path() / "bin"})
        if (std::filesystem::exists(place / name, error)) return (place / name).string();
    return (folder / name).string();
}

Error cannot_start(const std::string& path, int error_number) {
    Error error = Error::system("start", path, error_number);
    if (error_number == ENOENT) error.cure = "install doppel whole: its executables lie side by side";
    return error;
}

}  // namespace doppel
