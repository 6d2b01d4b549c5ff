#include "image/catalog.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/file.h"
#include "image/lock.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kRecordLimit = 1 << 20;

Error damaged(const fs::path& subject, std::string why, std::string_view name) {
    return {"read image", subject, std::move(why),
            "remove it (doppel image rm " + std::string(name) + ") and make it again"};
}

Result<Image> load(const fs::path& directory, const std::string& name, const std::string& arch) {
    fs::path record = directory / "image.json";
    auto text = read_file(record, kRecordLimit, "read image");
    if (!text) return fail(damaged(record, text.error().why, name));
    auto image = parse_image({reinterpret_cast<const char*>(text->data()), text->size()}, record.string());
    if (!image) return fail(damaged(record, image.error().why, name));
    if (image->name != name || image->arch != arch) return fail(damaged(record, "it describes another image", name));
    image->directory = directory;
    for (const auto& [file, properties] : image->files) {
        std::error_code code;
        uint64_t size = fs::file_size(directory / file, code);
        if (code) return fail(damaged(directory / file, code.message(), name));
        if (size != properties.size) return fail(damaged(directory / file, "its size is not the recorded one", name));
    }
    return image;
}

}  // namespace

uint64_t Image::size() const {
    uint64_t sum = 0;
    for (const auto& entry : files) sum += entry.second.size;
    return sum;
}

Result<fs::path> cache_directory() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && cache[0] == '/') return fs::path(cache) / "doppel";
    const char* home = std::getenv("HOME");
    if (home && home[0] == '/') return fs::path(home) / ".cache" / "doppel";
    return fail(
        Error{"find cache directory", "HOME", "it is not set to an absolute path", "set HOME or XDG_CACHE_HOME"});
}

namespace {

bool is_plain_name(std::string_view name) {
    auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= 64 && plain(name[0]) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace

bool is_image_name(std::string_view name) {
    const size_t colon = name.find(':');
    if (colon == name.npos) return is_plain_name(name);
    return is_plain_name(name.substr(0, colon)) && is_plain_name(name.substr(colon + 1));
}

Result<Catalog> Catalog::of_user() {
    DOPPEL_TRY(fs::path cache, cache_directory());
    return Catalog(cache / "images");
}

fs::path Catalog::directory_of(std::string_view name, std::string_view arch) const {
    std::string directory = std::string(name) + "-" + std::string(arch);
    std::ranges::replace(directory, ':', '+');
    return images_ / directory;
}

Result<std::vector<std::pair<std::string, std::string>>> Catalog::names() const {
    std::vector<std::pair<std::string, std::string>> found;
    std::error_code code;
    fs::directory_iterator entry(images_, code);
    if (code == std::errc::no_such_file_or_directory) return found;
    for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
        std::string directory = entry->path().filename();
        std::ranges::replace(directory, '+', ':');
        size_t dash = directory.rfind('-');
        if (!is_image_name(directory) || dash == std::string::npos || dash == 0) continue;
        found.emplace_back(directory.substr(0, dash), directory.substr(dash + 1));
    }
    if (code) return fail(Error::system("list images", images_, code.value()));
    std::sort(found.begin(), found.end());
    return found;
}

Result<std::optional<Image>> Catalog::find(std::string_view name, std::string_view arch) const {
    if (!is_image_name(name)) return std::nullopt;
    DOPPEL_TRY(auto all, names());
    std::erase_if(all, [&](const auto& one) { return one.first != name || (!arch.empty() && one.second != arch); });
    if (all.empty()) return std::nullopt;
    if (all.size() > 1)
        return fail(
            Error::usage(std::string(name), "it is there for more than one architecture", "choose one with --arch"));
    DOPPEL_TRY(Image image, load(directory_of(name, all[0].second), all[0].first, all[0].second));
    return std::optional(std::move(image));
}

Result<Listing> Catalog::list() const {
    Listing listing;
    DOPPEL_TRY(auto all, names());
    for (const auto& [name, arch] : all) {
        auto image = load(directory_of(name, arch), name, arch);
        if (image)
            listing.images.push_back(std::move(*image));
        else
            listing.damaged.push_back(std::move(image.error()));
    }
    return listing;
}

Result<> Catalog::remove(std::string_view name) const {
    if (!is_image_name(name))
        return fail(Error::usage(std::string(name), "not an image's name", "see: doppel image ls"));
    Error missing{"remove image", std::string(name), "there is no image of that name", "see: doppel image ls"};
    DOPPEL_TRY(auto before, names());  // so that a wrong name creates neither directory nor lock
    if (std::none_of(before.begin(), before.end(), [&](const auto& one) { return one.first == name; }))
        return fail(std::move(missing));

    DOPPEL_TRY(auto lock, lock_directory(images_));
    DOPPEL_TRY(auto all, names());
    bool found = false;
    for (const auto& [one, arch] : all) {
        if (one != name) continue;
        found = true;
        // Out of sight first, in one step: a removal cut short never leaves half an image under its name.
        fs::path directory = directory_of(one, arch);
        fs::path doomed = images_ / (".staging-" + directory.filename().string());
        std::error_code code;
        fs::remove_all(doomed, code);
        if (!code) fs::rename(directory, doomed, code);
        if (!code) fs::remove_all(doomed, code);
        if (code) return fail(Error::system("remove image", directory, code.value()));
    }
    if (!found) return fail(std::move(missing));
    return {};
}

}  // namespace doppel::image
