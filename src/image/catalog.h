// The images on this host: what they are, where their files lie, and how they are removed. Light: no archive formats,
// no network.
//
// Layout of the user's cache ($XDG_CACHE_HOME/doppel, else ~/.cache/doppel; "Cache" of the XDG base directory
// specification: everything in it can be made again):
//     images/.lock              held by whoever makes or removes an image (image/lock.h)
//     images/.staging-NAME-ARCH an image being made; the next maker removes what a killed one left
//     images/NAME-ARCH/         an image, published by one rename, never changed afterwards ('+' stands for ':'):
//         image.json            the record below
//         kernel, initrd        the files that it names; a whole system has a disk (qcow2), too
//     packages/                 Debian packages that images were made of (image/make/package_cache.h)
// image.json: {"format": 1, "name", "arch", "kind", "description", "created" (RFC 3339), "append", "kernel_version",
//              "packages": {NAME: VERSION}, "files": {NAME: {"size", "sha256"}}}
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::image {

struct ImageFile {
    uint64_t size = 0;   // bytes
    std::string sha256;  // 64 hexadecimal digits
};

struct Image {
    std::string name;
    std::string arch;                             // of the guest: "riscv64"
    std::string kind;                             // the level it runs at unless asked otherwise: "machine"
    std::string description;                      // one line for people
    std::string created;                          // RFC 3339, UTC
    std::string append;                           // the kernel's command line that the image asks for
    std::string kernel_version;                   // as uname -r says in the guest
    std::map<std::string, std::string> packages;  // what it was made of: name and version
    std::map<std::string, ImageFile> files;       // always with "kernel" and "initrd"
    std::filesystem::path directory;              // where it lies; not part of image.json

    std::filesystem::path kernel() const { return directory / "kernel"; }
    std::filesystem::path initrd() const { return directory / "initrd"; }
    bool has_disk() const { return files.contains("disk"); }
    std::filesystem::path disk() const { return directory / "disk"; }  // which instances stand on, and leave as it is
    uint64_t size() const;                                             // bytes of all files
};

struct Listing {
    std::vector<Image> images;   // sorted by name, then architecture
    std::vector<Error> damaged;  // one for each directory whose image cannot be used
};

// $XDG_CACHE_HOME/doppel or $HOME/.cache/doppel; as the specification says, a relative XDG_CACHE_HOME is ignored. Not
// created.
Result<std::filesystem::path> cache_directory();

// All images of one user. Holds only a path: cheap to make and copy, thread-safe. Finding and listing read a record a
// call and check that each file is there in its recorded size, not its digest.
class Catalog {
  public:
    explicit Catalog(std::filesystem::path images) : images_(std::move(images)) {}
    static Result<Catalog> of_user();

    const std::filesystem::path& directory() const { return images_; }
    std::filesystem::path directory_of(std::string_view name, std::string_view arch) const;

    // Nothing when there is no such image; an error when it is there but damaged. An empty `arch` means: the only one
    // there is.
    Result<std::optional<Image>> find(std::string_view name, std::string_view arch = {}) const;
    Result<Listing> list() const;
    // All architectures of `name`, damaged ones too. An error when there is none.
    Result<> remove(std::string_view name) const;

  private:
    Result<std::vector<std::pair<std::string, std::string>>> names() const;  // (name, architecture), sorted

    std::filesystem::path images_;
};

// A name is 1 to 64 of a-z 0-9 . _ - and starts with a letter or digit, so that it is never a path; a tag may follow it
// after a colon, made of the same.
bool is_image_name(std::string_view name);

// image.json. Parsing takes untrusted text, checks every key's type, and leaves `directory` empty.
std::string to_json(const Image& image);
Result<Image> parse_image(std::string_view json, std::string_view subject);

}  // namespace doppel::image
