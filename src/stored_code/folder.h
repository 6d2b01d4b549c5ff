// The user's folder of translations: a file (file.h) for each configuration and guest, and `.lock`, which whoever
// changes the folder holds. What is in it can be made again.
//
// Its files are host code that machines run, so it is trusted as far as its owner: the folder and a file count only
// when they belong to the user and nobody else can write to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "stored_code/file.h"

namespace doppel::stored_code {

struct Listed {
    std::filesystem::path path;
    uint64_t bytes = 0;
    int64_t used = 0;  // seconds since 1970
    Identity identity;
    size_t units = 0;
    std::optional<Error> damage;  // then identity and units are empty
};

// What one machine adds to its file.
struct Additions {
    std::vector<Unit> units;            // translated anew
    std::unordered_set<uint64_t> used;  // keys of what it has loaded
};

// Holds only a path: cheap to copy, thread-safe; several processes may use the same one.
class Folder {
  public:
    explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path path_of(const Identity& identity) const;

    // Makes the folder if it is missing and checks whose it is; an error also when less than `room` bytes are free
    // there.
    Result<> prepare(uint64_t room) const;
    // The file for `identity`. nullopt: there is none. An error: it cannot be used.
    Result<std::optional<File>> open(const Identity& identity) const;
    // Writes the file anew with what is there and what is new; what was not used for longest is left out when it takes
    // more than a quarter of `limit`, and the files that were not used for longest go when all take more than `limit`
    // bytes. Nothing is written for a handful of new units.
    Result<> save(const Identity& identity, const Additions& additions, uint64_t limit) const;
    // Those used last first. A missing folder is empty.
    Result<std::vector<Listed>> list() const;
    // Removes all files; how many bytes they had.
    Result<uint64_t> clear() const;

  private:
    Result<UniqueFd> lock() const;
    Result<> trim(uint64_t limit, const std::filesystem::path& kept) const;

    std::filesystem::path path_;
};

}  // namespace doppel::stored_code
