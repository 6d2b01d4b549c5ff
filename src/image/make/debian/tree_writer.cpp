#include "image/make/debian/tree_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"

namespace doppel::image {

Error TreeWriter::error(const std::string& path, int number) const {
    return Error::system("write root file system", root_ / path, number);
}

Result<TreeWriter> TreeWriter::open(std::filesystem::path root) {
    UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail(Error::system("write root file system", root, errno));
    return TreeWriter(std::move(root), std::move(fd));
}

UniqueFd TreeWriter::resolve(const std::string& path, uint64_t flags) const {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(
        static_cast<int>(::syscall(SYS_openat2, fd_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

Result<TreeWriter::Place> TreeWriter::place_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    std::string name = slash == path.npos ? path : path.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") return fail(error(path, EINVAL));
    const std::string above = slash == path.npos ? std::string() : path.substr(0, slash);
    UniqueFd folder = resolve(above, O_PATH | O_DIRECTORY);
    if (!folder && errno == ENOENT) {
        DOPPEL_CHECK(directory(above));
        folder = resolve(above, O_PATH | O_DIRECTORY);
    }
    if (!folder) return fail(error(path, errno));
    return Place{std::move(folder), std::move(name)};
}

Result<> TreeWriter::directory(const std::string& path, unsigned mode) {
    if (resolve(path, O_PATH | O_DIRECTORY)) return {};
    DOPPEL_TRY(const Place place, place_of(path));
    if (::mkdirat(place.folder.get(), place.name.c_str(), 0700) != 0) return fail(error(path, errno));
    if (::fchmodat(place.folder.get(), place.name.c_str(), mode, 0) != 0) return fail(error(path, errno));
    return {};
}

Result<UniqueFd> TreeWriter::create(const std::string& path, unsigned mode) {
    DOPPEL_TRY(const Place place, place_of(path));
    if (::unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) return fail(error(path, errno));
    UniqueFd file(
        ::openat(place.folder.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || ::fchmod(file.get(), mode) != 0) return fail(error(path, errno));
    return file;
}

Result<> TreeWriter::write(const std::string& path, std::span<const uint8_t> content, unsigned mode) {
    DOPPEL_TRY(const UniqueFd file, create(path, mode));
    if (!write_all(file.get(), content)) return fail(error(path, errno));
    return {};
}

Result<> TreeWriter::write(const std::string& path, std::string_view content, unsigned mode) {
    return write(path, std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()), mode);
}

Result<> TreeWriter::symbolic_link(const std::string& path, const std::string& target) {
    DOPPEL_TRY(const Place place, place_of(path));
    if (::unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) return fail(error(path, errno));
    if (::symlinkat(target.c_str(), place.folder.get(), place.name.c_str()) != 0) return fail(error(path, errno));
    return {};
}

Result<> TreeWriter::hard_link(const std::string& path, const std::string& existing) {
    DOPPEL_TRY(const Place from, place_of(existing));
    DOPPEL_TRY(const Place place, place_of(path));
    if (::unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) return fail(error(path, errno));
    if (::linkat(from.folder.get(), from.name.c_str(), place.folder.get(), place.name.c_str(), 0) != 0)
        return fail(error(path, errno));
    return {};
}

Result<> TreeWriter::remove(const std::string& path) {
    DOPPEL_TRY(const Place place, place_of(path));
    if (::unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) return fail(error(path, errno));
    return {};
}

Result<UniqueFd> TreeWriter::open_file(const std::string& path) const {
    UniqueFd file = resolve(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return fail(Error::system("read root file system", root_ / path, errno));
    return file;
}

}  // namespace doppel::image
