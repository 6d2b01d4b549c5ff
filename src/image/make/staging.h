// A directory in which an image is made, out of sight until it is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace doppel::image {

// Removed with everything in it when the object goes. Whoever makes one holds the directory's lock (image/lock.h).
class Staging {
  public:
    // An empty `path`; what an earlier maker left there is removed.
    static Result<Staging> create(std::filesystem::path path);
    Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Staging& operator=(Staging&&) = delete;
    ~Staging();

    const std::filesystem::path& path() const { return path_; }
    // Moves the directory `part` (below path(), its files already on the disk) to `destination`, in one step also where
    // there is one already.
    Result<> publish(const std::string& part, const std::filesystem::path& destination) const;

  private:
    explicit Staging(std::filesystem::path path) : path_(std::move(path)) {}

    std::filesystem::path path_;
};

// An error when the file system of `directory` has less than `bytes` left for this user.
Result<> check_free_space(const std::filesystem::path& directory, uint64_t bytes);

// fsync(2) of a file or directory.
Result<> flush_to_disk(const std::filesystem::path& path);

}  // namespace doppel::image
