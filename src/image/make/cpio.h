// An initial RAM file system: a cpio archive in the "newc" format that Linux unpacks
// (Documentation/driver-api/early-userspace/ buffer-format), by libarchive. Everything in it belongs to root and has
// time 0, so that equal content gives equal bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct archive;

namespace doppel::image {

// Paths are relative to the root ("bin/sh"); a directory comes before what is in it. Not thread-safe.
class CpioWriter {
  public:
    // A new file; the caller removes it after a failure.
    static Result<CpioWriter> create(const std::filesystem::path& path);

    Result<> directory(const std::string& path, unsigned mode = 0755);
    Result<> file(const std::string& path, std::span<const uint8_t> content, unsigned mode = 0644);
    Result<> file(const std::string& path, std::string_view content, unsigned mode = 0644);
    Result<> link(const std::string& path, const std::string& target);  // symbolic
    Result<> character_device(const std::string& path, unsigned major, unsigned minor, unsigned mode = 0600);
    Result<> finish();  // writes the trailer; nothing may follow

  private:
    struct Free {
        void operator()(archive* a) const;
    };
    struct Entry;

    explicit CpioWriter(std::filesystem::path path) : path_(std::move(path)) {}
    Result<> write(const Entry& entry);
    Error error() const;

    std::filesystem::path path_;
    std::unique_ptr<archive, Free> archive_;
};

}  // namespace doppel::image
