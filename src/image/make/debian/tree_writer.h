// A root file system that is being made: a folder of the host that is written to as if it were "/" already.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::image {

// Paths are relative to the root ("usr/bin/sh") and are found by openat2(2) with RESOLVE_IN_ROOT, so that neither ".."
// nor an absolute link leads out. Folders that are missing are made with mode 0755. Whatever is in a file's way is
// replaced, but for folders. Not thread-safe.
class TreeWriter {
  public:
    // `root` is there and the caller's.
    static Result<TreeWriter> open(std::filesystem::path root);

    // What is a folder already, or a link to one, stays as it is.
    Result<> directory(const std::string& path, unsigned mode = 0755);
    // A new, empty file, open for writing.
    Result<UniqueFd> create(const std::string& path, unsigned mode);
    Result<> write(const std::string& path, std::string_view content, unsigned mode = 0644);
    Result<> write(const std::string& path, std::span<const uint8_t> content, unsigned mode = 0644);
    Result<> symbolic_link(const std::string& path, const std::string& target);
    Result<> hard_link(const std::string& path, const std::string& existing);
    Result<> remove(const std::string& path);  // a file; one that is not there is success
    Result<UniqueFd> open_file(const std::string& path) const;

    const std::filesystem::path& root() const { return root_; }

  private:
    struct Place {
        UniqueFd folder;
        std::string name;
    };
    TreeWriter(std::filesystem::path root, UniqueFd fd) : root_(std::move(root)), fd_(std::move(fd)) {}
    UniqueFd resolve(const std::string& path, uint64_t flags) const;
    Result<Place> place_of(const std::string& path);  // its folder is made
    Error error(const std::string& path, int number) const;

    std::filesystem::path root_;
    UniqueFd fd_;
};

}  // namespace doppel::image
