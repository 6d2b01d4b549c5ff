#include "image/make/fetch.h"

#include <system_error>

#include "image/lock.h"
#include "image/make/deb.h"
#include "image/make/process.h"
#include "image/make/staging.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

Result<std::string> host_architecture(const StopRequest& stop) {
    DOPPEL_TRY(Finished finished, run({{"dpkg", "--print-architecture"}}, stop));
    std::string name = finished.output.substr(0, finished.output.find('\n'));
    if (!finished.succeeded() || name.empty())
        return fail(Error{"find architecture", "dpkg", "it does not tell the host's", "give one with --arch"});
    return name;
}

}  // namespace

Result<std::string> fetch_file(const FetchOptions& options) {
    ArchiveOptions archive_options = options.archive;
    if (archive_options.architecture.empty()) {
        DOPPEL_TRY(archive_options.architecture, host_architecture(options.stop));
    }
    std::error_code code;
    fs::path destination = fs::absolute(options.destination, code).lexically_normal();
    if (code) return fail(Error::system("fetch file", options.destination, code.value()));
    DOPPEL_TRY(UniqueFd lock, lock_directory(destination.parent_path(), options.stop));
    DOPPEL_TRY(Staging staging,
               Staging::create(destination.parent_path() / (".staging-" + destination.filename().string())));
    DOPPEL_TRY(AptArchive archive, AptArchive::open(staging.path() / "apt", archive_options, options.stop));
    DOPPEL_TRY(Package package, archive.find(options.package));
    DOPPEL_CHECK(check_free_space(staging.path(), 2 * package.size));
    DOPPEL_TRY(fs::path deb, archive.download(package));
    fs::path file = staging.path() / "file";
    DOPPEL_CHECK(extract_from_deb(
        deb, [&](std::string_view path) { return path == options.member; }, file, options.stop));
    fs::permissions(file, fs::perms(0755), code);
    if (!code) fs::rename(file, destination, code);
    if (code) return fail(Error::system("write file", destination, code.value()));
    return package.version;
}

}  // namespace doppel::image
