#include "image/tag.h"

#include <system_error>

#include "base/file.h"
#include "image/lock.h"
#include "image/makeable.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFailed = "tag image";

Result<> fill(const Image& image, const fs::path& folder) {
    std::error_code code;
    fs::remove_all(folder, code);
    if (!code) fs::create_directory(folder, code);
    if (code) return fail(Error::system(kFailed, folder, code.value()));
    for (const auto& file : image.files) {
        fs::create_hard_link(image.directory / file.first, folder / file.first, code);
        if (code) fs::copy_file(image.directory / file.first, folder / file.first, code);
        if (code) return fail(Error::system(kFailed, folder / file.first, code.value()));
    }
    return write_file_atomically(folder / "image.json", to_json(image));
}

}  // namespace

Result<Image> tag_image(const Catalog& catalog, const std::string& from, const std::string& to,
                        const StopRequest& stop) {
    if (!is_image_name(to)) return fail(Error::usage(to, "not an image's name", "for example: web:1"));
    if (makeable(to)) return fail(Error::usage(to, "doppel makes an image of that name", "choose another"));
    DOPPEL_TRY(const UniqueFd lock, lock_directory(catalog.directory(), stop));
    DOPPEL_TRY(auto image, catalog.find(from));
    if (!image) return fail(Error{kFailed, from, "there is no image of that name", "see: doppel image ls"});
    image->name = to;
    const fs::path destination = catalog.directory_of(to, image->arch);
    std::error_code code;
    if (fs::exists(destination, code))
        return fail(Error{kFailed, to, "there is one of that name", "doppel image rm " + to + " removes it"});
    const fs::path staging = catalog.directory() / (".staging-" + destination.filename().string());
    Result<> made = fill(*image, staging);
    if (made) {
        fs::rename(staging, destination, code);
        if (code) made = fail(Error::system(kFailed, destination, code.value()));
    }
    if (!made) {
        fs::remove_all(staging, code);
        return fail(std::move(made.error()));
    }
    image->directory = destination;
    return std::move(*image);
}

}  // namespace doppel::image
