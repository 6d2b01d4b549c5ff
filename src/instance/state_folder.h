// Where a user's instances lie.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace doppel::instance {

// base/user_folders.h
class StateFolder {
  public:
    // Makes nothing.
    static Result<StateFolder> of_user();
    StateFolder(std::filesystem::path root, std::filesystem::path runtime)
        : root_(std::move(root)), runtime_(std::move(runtime)) {}

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path database() const { return root_ / "instances.db"; }
    std::filesystem::path events() const { return root_ / "events.jsonl"; }
    std::filesystem::path instances() const { return root_ / "instances"; }
    std::filesystem::path directory_of(const std::string& id) const { return instances() / id; }
    std::filesystem::path runtime_of(const std::string& id) const { return runtime_ / id; }

    // For this user alone.
    Result<> make() const;
    Result<> make_for(const std::string& id) const;  // the instance's directory and an empty runtime directory

  private:
    std::filesystem::path root_, runtime_;
};

// A path of at most a few bytes for a socket in `folder`, however long that one's is, while this exists.
class ShortPath {
  public:
    static Result<ShortPath> of(const std::filesystem::path& folder);
    std::filesystem::path operator/(const char* name) const;
    ShortPath(ShortPath&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ShortPath& operator=(ShortPath&&) = delete;
    ~ShortPath();

  private:
    explicit ShortPath(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace doppel::instance
