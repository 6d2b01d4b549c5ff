#include "stored_code/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "base/file.h"
#include "base/hash.h"
#include "base/sizes.h"

namespace doppel::stored_code {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnding = ".code", kTemporaryEnding = ".tmp", kPurpose = "use stored translations";

// Why what is open must not be trusted.
std::optional<Error> distrust(int fd, const fs::path& path) {
    constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
    struct stat status {};
    if (fstat(fd, &status) != 0) return Error::system(std::string(kPurpose), path.string(), errno);
    if (status.st_uid != geteuid()) {
        return Error{std::string(kPurpose), path.string(), "it belongs to another user",
                     "name a folder of your own by --translation-cache"};
    }
    if ((status.st_mode & kOthersWrite) != 0) {
        return Error{std::string(kPurpose), path.string(), "others may write to it", "chmod go-w " + path.string()};
    }
    return std::nullopt;
}

Result<File> open_trusted(const fs::path& path) {
    DOPPEL_TRY(UniqueFd fd, open_regular_file(path, kPurpose));
    if (auto error = distrust(fd.get(), path)) return fail(std::move(*error));
    return File::read(std::move(fd), path);
}

Result<std::vector<fs::path>> files_in(const fs::path& folder, std::string_view ending) {
    std::vector<fs::path> found;
    std::error_code code;
    fs::directory_iterator entry(folder, code);
    if (code == std::errc::no_such_file_or_directory) return found;
    for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
        if (entry->path().extension() == ending) found.push_back(entry->path());
    }
    if (code) return fail(Error::system("list translations", folder.string(), code.value()));
    std::ranges::sort(found);
    return found;
}

Result<> remove_file(const fs::path& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        return fail(Error::system("remove translations", path.string(), errno));
    }
    return {};
}

// What whoever was killed while it wrote has left behind.
void remove_leftovers(const fs::path& folder) {
    const auto leftovers = files_in(folder, kTemporaryEnding);
    if (!leftovers) return;
    for (const fs::path& path : *leftovers) unlink(path.c_str());
}

// What a file holds and what is new, each unit once.
std::vector<FileUnit> merge(const File* file, uint32_t generation, const Additions& additions) {
    std::vector<FileUnit> merged;
    std::unordered_set<uint64_t> keys;
    for (size_t i = 0; file != nullptr && i < file->count(); i++) {
        auto bytes = file->read_bytes(i);
        if (!bytes || !decode(*bytes) || !keys.insert(file->key(i)).second) continue;
        const bool used = additions.used.contains(file->key(i));
        merged.push_back({used ? generation : file->last_used(i), std::move(*bytes)});
    }
    for (const Unit& unit : additions.units) {
        std::vector<uint8_t> bytes = encode(unit);
        if (decode(bytes) && keys.insert(key_of(unit)).second) merged.push_back({generation, std::move(bytes)});
    }
    return merged;
}

void keep_within(std::vector<FileUnit>& units, uint64_t limit) {
    std::ranges::stable_sort(units, std::ranges::greater{}, &FileUnit::last_used);
    uint64_t bytes = 0;
    const auto over = std::ranges::find_if(units, [&](const FileUnit& unit) {
        bytes += unit.bytes.size() + index_bytes_of(*decode(unit.bytes));
        return bytes > limit;
    });
    units.erase(over, units.end());
}

// Also what the file has, but damaged.
size_t count_new(const File* file, const Additions& additions) {
    std::unordered_map<uint64_t, size_t> numbers;
    for (size_t i = 0; file != nullptr && i < file->count(); i++) numbers.emplace(file->key(i), i);
    std::unordered_set<uint64_t> keys;
    const auto is_new = [&](const Unit& unit) {
        const uint64_t key = key_of(unit);
        const auto found = numbers.find(key);
        return keys.insert(key).second && (found == numbers.end() || !file->read_bytes(found->second));
    };
    return static_cast<size_t>(std::ranges::count_if(additions.units, is_new));
}

}  // namespace

fs::path Folder::path_of(const Identity& identity) const {
    const std::string text = identity.configuration + '\n' + identity.guest;
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    return path_ / fmt::format("{:016x}{}", hash64({bytes, text.size()}), kEnding);
}

Result<> Folder::prepare(uint64_t room) const {
    constexpr mode_t kOwnersOnly = 0700;
    std::error_code code;
    fs::create_directories(path_.parent_path(), code);
    if (code || (mkdir(path_.c_str(), kOwnersOnly) != 0 && errno != EEXIST)) {
        return fail(Error::system("make the folder for translations", path_.string(), code ? code.value() : errno));
    }
    const UniqueFd folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return fail(Error::system(std::string(kPurpose), path_.string(), errno));
    if (auto error = distrust(folder.get(), path_)) return fail(std::move(*error));
    if (access(path_.c_str(), W_OK) != 0) {
        return fail(Error::system("keep translations", path_.string(), errno));
    }
    struct statvfs space {};
    if (fstatvfs(folder.get(), &space) == 0 && space.f_bavail * space.f_frsize < room) {
        return fail(Error{"keep translations", path_.string(),
                          "only " + format_size_rounded(space.f_bavail * space.f_frsize) + " are free there",
                          "free some space, or use --translation-cache off"});
    }
    return {};
}

Result<std::optional<File>> Folder::open(const Identity& identity) const {
    const fs::path path = path_of(identity);
    const UniqueFd folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder && errno == ENOENT) return std::nullopt;
    if (!folder) return fail(Error::system(std::string(kPurpose), path_.string(), errno));
    if (auto error = distrust(folder.get(), path_)) return fail(std::move(*error));
    if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
    DOPPEL_TRY(File file, open_trusted(path));
    if (!(file.identity() == identity)) {
        return fail(Error{std::string(kPurpose), path.string(), "it is for another guest or another host",
                          "they are made anew"});
    }
    return std::optional(std::move(file));
}

Result<> Folder::save(const Identity& identity, const Additions& additions, uint64_t limit) const {
    constexpr size_t kWorthwhile = 32, kFraction = 64;
    constexpr uint64_t kFilesInLimit = 4;
    constexpr unsigned kMode = 0600;
    DOPPEL_TRY(const UniqueFd held, lock());
    remove_leftovers(path_);
    const fs::path path = path_of(identity);
    auto opened = open(identity);
    const File* file = opened && *opened ? &**opened : nullptr;
    const size_t needed = std::max(kWorthwhile, file != nullptr ? file->count() / kFraction : 0);
    if (count_new(file, additions) < needed) {
        if (file != nullptr && !additions.used.empty()) utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
        return {};
    }
    const uint32_t generation = file != nullptr ? file->generation() + 1 : 1;
    std::vector<FileUnit> units = merge(file, generation, additions);
    keep_within(units, std::min(limit / kFilesInLimit, kMaxFileBytes / 2));
    DOPPEL_CHECK(write_file_atomically(path, encode_file(identity, generation, units), kMode));
    return trim(limit, path);
}

Result<> Folder::trim(uint64_t limit, const fs::path& kept) const {
    DOPPEL_TRY(std::vector<Listed> all, list());
    uint64_t bytes = 0;
    for (const Listed& one : all) bytes += one.bytes;
    while (!all.empty() && bytes > limit) {
        const Listed last = std::move(all.back());
        all.pop_back();
        if (last.path == kept) continue;
        DOPPEL_CHECK(remove_file(last.path));
        bytes -= last.bytes;
    }
    return {};
}

Result<std::vector<Listed>> Folder::list() const {
    DOPPEL_TRY(const std::vector<fs::path> paths, files_in(path_, kEnding));
    std::vector<Listed> all;
    for (const fs::path& path : paths) {
        Listed listed;
        struct stat status {};
        if (lstat(path.c_str(), &status) != 0) continue;  // gone meanwhile
        listed.path = path;
        listed.bytes = static_cast<uint64_t>(status.st_size);
        listed.used = status.st_mtime;
        if (auto file = open_trusted(path)) {
            listed.identity = file->identity();
            listed.units = file->count();
        } else {
            listed.damage = file.error();
        }
        all.push_back(std::move(listed));
    }
    std::ranges::stable_sort(all, std::ranges::greater{}, &Listed::used);
    return all;
}

Result<uint64_t> Folder::clear() const {
    uint64_t bytes = 0;
    if (access(path_.c_str(), F_OK) != 0 && errno == ENOENT) return bytes;
    DOPPEL_TRY(const UniqueFd held, lock());
    remove_leftovers(path_);
    DOPPEL_TRY(const std::vector<fs::path> paths, files_in(path_, kEnding));
    for (const fs::path& path : paths) {
        struct stat status {};
        if (lstat(path.c_str(), &status) == 0) bytes += static_cast<uint64_t>(status.st_size);
        DOPPEL_CHECK(remove_file(path));
    }
    return bytes;
}

Result<UniqueFd> Folder::lock() const {
    constexpr mode_t kMode = 0600;
    const fs::path path = path_ / ".lock";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (!file) return fail(Error::system("lock translations", path.string(), errno));
    while (flock(file.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return fail(Error::system("lock translations", path.string(), errno));
    }
    return file;
}

}  // namespace doppel::stored_code
