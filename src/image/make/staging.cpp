#include "image/make/staging.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/sizes.h"
#include "base/unique_fd.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

bool exchange(const fs::path& one, const fs::path& other) {
    return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

}  // namespace

Result<Staging> Staging::create(fs::path path) {
    std::error_code code;
    fs::remove_all(path, code);
    if (!code) fs::create_directories(path, code);
    if (code) return fail(Error::system("create directory", path, code.value()));
    return Staging(std::move(path));
}

Staging::~Staging() {
    std::error_code code;
    if (!path_.empty()) fs::remove_all(path_, code);
}

Result<> Staging::publish(const std::string& part, const fs::path& destination) const {
    fs::path made = path_ / part;
    DOPPEL_CHECK(flush_to_disk(made));
    bool there = ::access(destination.c_str(), F_OK) == 0;
    if (there && exchange(made, destination)) return flush_to_disk(destination.parent_path());
    std::error_code code;
    if (there) fs::rename(destination, path_ / "replaced", code);  // a file system without RENAME_EXCHANGE: two steps
    if (!code) fs::rename(made, destination, code);
    if (code) return fail(Error::system("publish image", destination, code.value()));
    return flush_to_disk(destination.parent_path());
}

Result<> check_free_space(const fs::path& directory, uint64_t bytes) {
    std::error_code code;
    fs::space_info space = fs::space(directory, code);
    if (code) return fail(Error::system("check free space", directory, code.value()));
    if (space.available >= bytes) return {};
    return fail(
        Error{"make image", directory,
              format_size_rounded(space.available) + " are free and " + format_size_rounded(bytes) + " are needed",
              "free some space there, or set XDG_CACHE_HOME to a directory with room"});
}

Result<> flush_to_disk(const fs::path& path) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) return fail(Error::system("flush to disk", path, errno));
    return {};
}

}  // namespace doppel::image
