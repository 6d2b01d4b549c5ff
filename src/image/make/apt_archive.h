// A Debian archive as seen through apt in a root of its own: signed index, verified packages, nothing of the machine
// touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/make/apt_error.h"
#include "image/make/process.h"
#include "image/stop.h"

namespace doppel::image {

struct ArchiveOptions {
    std::string suite = "stable";
    std::string mirror{};             // empty: configured_mirror()
    std::string architecture{};       // Debian's name for it: "riscv64", "amd64"
    std::filesystem::path keyring{};  // empty: the Debian archive keyring of this machine
};

struct Package {
    std::string name;
    std::string version;
    std::string depends;  // the control file's field
    uint64_t size = 0;    // of the .deb, in bytes
};

// A package's file, as the verified index describes it.
struct PackageFile {
    std::string name;  // "libc6_2.41-12_riscv64.deb"
    uint64_t size = 0;
    std::string sha256;
};

// apt does all of the trusting: Release signed by a key of the keyring, SHA-256 from there to the index to the package.
// Proxies, timeouts and credentials are those of the machine's apt. Needs no root. Shows its progress
// (base/progress.h). One thread at a time.
class AptArchive {
  public:
    // Makes `root` (an absolute path; the caller removes it) and fetches the suite's index.
    static Result<AptArchive> open(std::filesystem::path root, ArchiveOptions options, StopRequest stop = {});

    // The suite's newest version of a package.
    Result<Package> find(const std::string& name) const;
    // The one whole .deb, verified, below the root.
    Result<std::filesystem::path> download(const Package& package) const;

    // Packages by name or apt's patterns ("?essential"), with all that they depend on: whole, verified .deb files in
    // `folder`, which is made if need be. What an earlier call left there, even half, is used. One caller at a time.
    Result<std::vector<std::filesystem::path>> download_all(const std::vector<std::string>& wanted,
                                                            const std::filesystem::path& folder) const;

    const std::string& mirror() const { return options_.mirror; }
    const ArchiveOptions& options() const { return options_; }

  private:
    AptArchive(std::filesystem::path root, ArchiveOptions options, StopRequest stop)
        : root_(std::move(root)), options_(std::move(options)), stop_(stop) {}
    Result<> write_root() const;
    Result<> update() const;
    Command command(std::string tool, std::vector<std::string> arguments) const;
    AptContext context(std::string failed, std::string subject) const;
    Result<std::vector<PackageFile>> list_all(const std::vector<std::string>& wanted) const;

    std::filesystem::path root_;
    ArchiveOptions options_;
    StopRequest stop_;
};

// A package's name as Debian's policy (section 5.6.1) allows it, so that it can be nothing else on a command line.
bool is_package_name(std::string_view name);

// What apt writes about its work (APT::Status-Fd; README.progress-reporting of apt): the percentage in
// "dlstatus:ITEM:PERCENT:TEXT", 0 to 100. Nothing for any other line.
std::optional<double> parse_percentage(std::string_view line);

// The first stanza of `apt-cache show`; untrusted. An error when name, version or size is missing.
Result<Package> parse_package(std::string_view stanza);

// What `apt-get --print-uris` says; untrusted: names are single components, digests are SHA-256. Lines that are none of
// it are left out.
std::vector<PackageFile> parse_package_files(std::string_view said);

// The name of the first package in a Depends field that starts with `prefix`; empty: none.
std::string dependency(std::string_view depends, std::string_view prefix);

}  // namespace doppel::image
