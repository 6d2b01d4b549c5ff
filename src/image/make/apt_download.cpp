// AptArchive::download_all: many packages, kept in a folder that later makers use again.
#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/progress.h"
#include "image/make/apt_archive.h"
#include "image/make/digest.h"
#include "image/make/staging.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr size_t kDigestDigits = 64;

bool is_file_name(std::string_view name) {
    return name.ends_with(".deb") && !name.starts_with('.') && name.size() < 256 &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("+-._~%").find(c) != std::string_view::npos;
           });
}

std::string_view next_word(std::string_view& line) {
    const size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

std::optional<PackageFile> parse_package_file(std::string_view line) {
    constexpr std::string_view kDigest = "SHA256:";
    if (!next_word(line).starts_with('\'')) return std::nullopt;
    PackageFile file;
    file.name = next_word(line);
    const std::string_view size = next_word(line), digest = next_word(line);
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), file.size);
    if (!is_file_name(file.name) || error != std::errc() || end != size.data() + size.size()) return std::nullopt;
    if (!digest.starts_with(kDigest) || digest.size() != kDigest.size() + kDigestDigits) return std::nullopt;
    file.sha256 = digest.substr(kDigest.size());
    return file;
}

bool is_whole(const fs::path& path, const PackageFile& file) {
    std::error_code code;
    if (fs::file_size(path, code) != file.size || code) return false;
    const auto measured = measure_file(path);
    return measured && measured->sha256 == file.sha256;
}

}  // namespace

std::vector<PackageFile> parse_package_files(std::string_view said) {
    std::vector<PackageFile> files;
    while (!said.empty()) {
        const size_t end = std::min(said.find('\n'), said.size());
        if (auto file = parse_package_file(said.substr(0, end))) files.push_back(std::move(*file));
        said.remove_prefix(std::min(end + 1, said.size()));
    }
    return files;
}

Result<std::vector<PackageFile>> AptArchive::list_all(const std::vector<std::string>& wanted) const {
    std::vector<std::string> words{"-o", "Acquire::ForceHash=SHA256", "-y", "--print-uris", "install"};
    words.insert(words.end(), wanted.begin(), wanted.end());
    DOPPEL_TRY(const Finished finished, run(command("apt-get", std::move(words)), stop_));
    const std::string said = finished.output + finished.diagnostics;
    if (!finished.succeeded()) return fail(apt_error(context("find packages", options_.mirror), said));
    auto files = parse_package_files(finished.output);
    if (files.empty()) return fail(apt_error(context("find packages", options_.mirror), said));
    return files;
}

Result<std::vector<fs::path>> AptArchive::download_all(const std::vector<std::string>& wanted,
                                                       const fs::path& folder) const {
    DOPPEL_TRY(const auto files, list_all(wanted));
    std::error_code code;
    fs::create_directories(folder / "partial", code);
    if (code) return fail(Error::system("create directory", folder, code.value()));
    uint64_t missing = 0;
    for (const PackageFile& file : files) {
        if (is_whole(folder / file.name, file)) continue;
        fs::remove(folder / file.name, code);  // apt would look at its size only
        missing += file.size;
    }
    if (missing > 0) {
        DOPPEL_CHECK(check_free_space(folder, missing));
        std::vector<std::string> words{"-o",     "Dir::Cache::archives=" + folder.string() + "/",
                                       "-o",     "APT::Status-Fd=" + std::to_string(kStatusDescriptor),
                                       "-y",     "--download-only",
                                       "install"};
        words.insert(words.end(), wanted.begin(), wanted.end());
        Command download = command("apt-get", std::move(words));
        Progress bar("packages", missing, ProgressUnit::kBytes);
        download.status_line = [&](std::string_view line) {
            if (auto percentage = parse_percentage(line))
                bar.set(static_cast<uint64_t>(*percentage / 100 * static_cast<double>(missing)));
        };
        DOPPEL_TRY(const Finished finished, run(download, stop_));
        if (!finished.succeeded())
            return fail(
                apt_error(context("download packages", options_.mirror), finished.output + finished.diagnostics));
    }
    std::vector<fs::path> paths;
    for (const PackageFile& file : files) {
        paths.push_back(folder / file.name);
        if (!is_whole(paths.back(), file))
            return fail(
                Error{"download packages", paths.back(), "it is not what the mirror's index says", "try again"});
        fs::last_write_time(paths.back(), fs::file_time_type::clock::now(), code);  // what was used last stays longest
    }
    return paths;
}

}  // namespace doppel::image
