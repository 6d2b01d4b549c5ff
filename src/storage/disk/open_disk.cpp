#include "storage/disk/open_disk.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <set>

#include "base/file.h"
#include "storage/disk/plain_guard.h"
#include "storage/raw_file.h"

namespace doppel::storage::disk {

namespace {

using Identity = std::pair<uint64_t, uint64_t>;

Result<Identity> identity(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return fail(Error::system("open disk", path.string(), errno));
    return Identity{status.st_dev, status.st_ino};
}

// The images above, down to the one that is opened.
using Chain = std::set<Identity>;

Task<Result<Disk>> open_in_chain(IoContext& io, std::filesystem::path path, OpenOptions options, Chain& chain);

Task<Result<std::unique_ptr<BlockDevice>>> open_backing(IoContext& io, const std::filesystem::path& image,
                                                        const qcow2::Header& header, bool share, Chain& chain) {
    auto path = resolve_name(image, *header.backing_file);
    if (!path) co_return fail(std::move(path).error());
    OpenOptions options{.share = share};
    if (header.backing_format) {
        auto format = parse_format(*header.backing_format);
        if (!format) co_return fail(std::move(format).error());
        options.format = *format;
    }
    auto opened = co_await open_in_chain(io, *path, options, chain);
    if (!opened) {
        Error error = std::move(opened).error();
        error.failed += " that " + image.string() + " stands on";
        co_return fail(std::move(error));
    }
    co_return std::move(opened->device);
}

Task<Result<std::unique_ptr<BlockDevice>>> open_data(IoContext& io, const std::filesystem::path& image,
                                                     const qcow2::Header& header, const OpenOptions& options) {
    if (!header.data_file)
        co_return fail(Error{"open disk", image.string(), "it does not say where its data is", "name its data file"});
    auto path = resolve_name(image, *header.data_file);
    if (!path) co_return fail(std::move(path).error());
    auto file = RawFile::open(io, *path, {.writable = options.writable, .container = true, .share = options.share});
    if (!file) co_return fail(std::move(file).error());
    co_return std::move(*file);
}

Disk disk_of(std::unique_ptr<qcow2::Image> image) {
    Disk disk;
    disk.qcow2 = image.get();
    disk.device = std::move(image);
    disk.format = Format::kQcow2;
    return disk;
}

Task<Result<Disk>> open_qcow2(IoContext& io, const std::filesystem::path& path, const OpenOptions& options,
                              Chain& chain) {
    qcow2::Parts parts;
    auto file = RawFile::open(io, path, {.writable = options.writable, .container = true, .share = options.share});
    if (!file) co_return fail(std::move(file).error());
    parts.file = std::move(*file);
    auto header = co_await qcow2::read_header(*parts.file);
    if (!header) co_return fail(std::move(header).error());
    if (header->external()) {
        auto data = co_await open_data(io, path, *header, options);
        if (!data) co_return fail(std::move(data).error());
        parts.data = std::move(*data);
    }
    if (header->backing_file && options.backing) {
        auto backing = co_await open_backing(io, path, *header, options.share, chain);
        if (!backing) co_return fail(std::move(backing).error());
        parts.backing = std::move(*backing);
    }
    qcow2::ImageOptions image_options;
    image_options.repair = options.repair;
    image_options.snapshot = options.snapshot;
    auto image = co_await qcow2::Image::open(std::move(parts), std::move(*header), std::move(image_options));
    if (!image) co_return fail(std::move(image).error());
    co_return disk_of(std::move(*image));
}

Task<Result<Disk>> adopt_qcow2(std::unique_ptr<RawFile> file, std::filesystem::path path) {
    qcow2::Parts parts;
    parts.file = std::move(file);
    auto header = co_await qcow2::read_header(*parts.file);
    if (!header) co_return fail(std::move(header).error());
    if (header->external() || header->backing_file)
        co_return fail(Error{"open disk", path.string(), "it stands on another file, which is not open",
                             "attach it to a machine that starts"});
    qcow2::ImageOptions image_options;
    auto image = co_await qcow2::Image::open(std::move(parts), std::move(*header), std::move(image_options));
    if (!image) co_return fail(std::move(image).error());
    co_return disk_of(std::move(*image));
}

Result<Format> recognise_open(int file, const std::filesystem::path& path) {
    std::array<uint8_t, 8> first{};
    const ssize_t got = ::pread(file, first.data(), first.size(), 0);
    if (got < 0) return fail(Error::system("read disk", path.string(), errno));
    return qcow2::is_qcow2(std::span(first).first(static_cast<size_t>(got))) ? Format::kQcow2 : Format::kRaw;
}

Task<Result<Disk>> open_in_chain(IoContext& io, std::filesystem::path path, OpenOptions options, Chain& chain) {
    const auto self = identity(path);
    if (!self) co_return fail(self.error());
    if (!chain.insert(*self).second)
        co_return fail(Error{"open disk", path.string(), "it stands on itself, through others", "rebase one of them"});
    if (chain.size() > kMaxChain)
        co_return fail(Error{"open disk", path.string(), "more disks stand on each other than can be", "convert it"});
    const bool recognised = !options.format;
    if (recognised) {
        const auto format = recognise(path);
        if (!format) co_return fail(format.error());
        options.format = *format;
    }
    if (options.format == Format::kQcow2) {
        auto disk = co_await open_qcow2(io, path, options, chain);
        co_return disk;
    }
    if (!options.snapshot.empty()) co_return fail(Error{"open snapshot", path.string(), "raw disks have none", ""});
    auto file = RawFile::open(io, path, {.writable = options.writable, .share = options.share});
    if (!file) co_return fail(std::move(file).error());
    Disk disk;
    disk.device = std::move(*file);
    if (recognised && options.writable) disk.device = std::make_unique<PlainGuard>(std::move(disk.device));
    co_return disk;
}

}  // namespace

Result<Format> parse_format(std::string_view text) {
    if (text == "raw") return Format::kRaw;
    if (text == "qcow2") return Format::kQcow2;
    return fail(Error::usage(std::string(text), "no such disk format", "raw and qcow2 can be read and written"));
}

std::string_view name_of(Format format) {
    return format == Format::kRaw ? "raw" : "qcow2";
}

Result<Format> recognise(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return fail(Error::system("open disk", path.string(), errno));
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return fail(Error{"open disk", path.string(), "it is neither a file nor a block device", "name a disk"});
    DOPPEL_TRY(const UniqueFd file, open_for_reading(path, "open disk"));
    return recognise_open(file.get(), path);
}

Result<std::filesystem::path> resolve_name(const std::filesystem::path& image, const std::string& name) {
    std::string plain = name.starts_with("file:") ? name.substr(5) : name;
    const size_t colon = plain.find(':'), slash = plain.find('/');
    if (plain.find('\0') != std::string::npos || (colon != std::string::npos && colon < slash))
        return fail(Error{"open disk", printable(name), "it is no file, but an address that doppel does not know",
                          "convert the disk with qemu-img"});
    return image.parent_path() / plain;  // an absolute name stays
}

Task<Result<Disk>> adopt_disk(IoContext& io, UniqueFd file, std::filesystem::path path, OpenOptions options) {
    const bool recognised = !options.format;
    if (recognised) {
        const auto format = recognise_open(file.get(), path);
        if (!format) co_return fail(format.error());
        options.format = *format;
    }
    const RawOptions raw{.writable = options.writable, .container = options.format == Format::kQcow2};
    auto adopted = RawFile::adopt(io, std::move(file), path, raw);
    if (!adopted) co_return fail(std::move(adopted).error());
    if (options.format == Format::kQcow2) {
        auto disk = co_await adopt_qcow2(std::move(*adopted), path);
        co_return disk;
    }
    Disk disk;
    disk.device = std::move(*adopted);
    if (recognised && options.writable) disk.device = std::make_unique<PlainGuard>(std::move(disk.device));
    co_return disk;
}

Task<Result<Disk>> open_disk(IoContext& io, std::filesystem::path path, OpenOptions options) {
    Chain chain;
    auto disk = co_await open_in_chain(io, std::move(path), std::move(options), chain);
    co_return disk;
}

}  // namespace doppel::storage::disk
