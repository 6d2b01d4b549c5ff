#include "cli/own_system.h"

#include <system_error>

#include "base/file.h"
#include "cli/launch.h"

namespace doppel::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFolder = "system";
constexpr const char* kRecord = "image.json";
constexpr const char* kDisk = "own.qcow2";  // stands on "disk", the image's
constexpr uint64_t kRecordLimit = 1 << 20;

Result<> link_or_copy(const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::create_hard_link(from, to, error);
    if (error) fs::copy_file(from, to, error);  // another file system
    if (error) return fail(Error::system("make the instance's disk", to, error.value()));
    return {};
}

Result<> fill(const image::Image& image, const fs::path& folder) {
    for (const auto& file : image.files) DOPPEL_CHECK(link_or_copy(image.directory / file.first, folder / file.first));
    DOPPEL_CHECK(link_or_copy(image.directory / kRecord, folder / kRecord));
    const fs::path disk = folder / kDisk;
    DOPPEL_TRY(const int code,
               run_and_wait("doppel-disk", {"create", "-q", "-f", "qcow2", "-b", "disk", "-F", "qcow2", disk}));
    if (code == 0) return {};
    return fail(Error{"make the instance's disk", disk, "doppel disk create failed", ""});
}

}  // namespace

Result<std::optional<image::Image>> find_own_system(const fs::path& folder) {
    std::error_code error;
    const fs::path record = folder / kFolder / kRecord;
    if (folder.empty() || !fs::exists(record, error)) return std::nullopt;
    DOPPEL_TRY(const auto text, read_file(record, kRecordLimit, "read image"));
    DOPPEL_TRY(auto image,
               image::parse_image({reinterpret_cast<const char*>(text.data()), text.size()}, record.string()));
    image.directory = folder / kFolder;
    return std::optional(std::move(image));
}

Result<std::optional<image::Image>> make_own_system(const image::Image& image, const fs::path& folder) {
    const fs::path half = folder / (std::string(kFolder) + ".new");
    std::error_code error;
    fs::remove_all(half, error);
    if (!error) fs::create_directory(half, error);
    if (error) return fail(Error::system("make the instance's disk", half, error.value()));
    Result<> made = fill(image, half);
    if (made) {
        fs::rename(half, folder / kFolder, error);
        if (error) made = fail(Error::system("make the instance's disk", folder / kFolder, error.value()));
    }
    if (!made) {
        fs::remove_all(half, error);
        return fail(std::move(made.error()));
    }
    return find_own_system(folder);
}

machine::DiskChoice own_disk(const fs::path& folder) {
    return {.path = folder / kFolder / kDisk, .format = machine::DiskFormat::kQcow2};
}

}  // namespace doppel::cli
