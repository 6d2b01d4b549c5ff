// The file that a command makes: it appears under its name when it is complete, or not at all.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace doppel::disk {

// A file beside its destination, removed unless it was committed, also when a signal ends the program. A block device
// is itself, written in place. One at a time.
class Target {
  public:
    // A disk of that name that exists is replaced, unless something uses it.
    static Result<Target> prepare(const std::filesystem::path& destination);
    Target(Target&& other) noexcept;
    Target& operator=(Target&&) = delete;
    ~Target();

    const std::filesystem::path& path() const { return path_; }
    bool in_place() const { return path_ == destination_; }
    Result<> commit();  // the content is durable already, or need not be

  private:
    Target(std::filesystem::path destination, std::filesystem::path path);
    std::filesystem::path destination_, path_;
    bool pending_;
};

}  // namespace doppel::disk
