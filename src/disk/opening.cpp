#include "disk/opening.h"

#include "storage/raw_file.h"

namespace doppel::disk {

using storage::BlockDevice;
using storage::IoContext;
using storage::Preallocation;
using storage::RawFile;
using storage::disk::Disk;
using storage::disk::Format;

Result<Disk> open(IoContext& io, const std::string& file, const std::string& format,
                  storage::disk::OpenOptions options) {
    if (!format.empty()) {
        DOPPEL_TRY(options.format, storage::disk::parse_format(format));
    }
    return io.run(storage::disk::open_disk(io, file, options));
}

namespace {

Result<Disk> make_raw(IoContext& io, const std::filesystem::path& file, const NewDisk& wanted, bool exists) {
    if (!exists) DOPPEL_CHECK(storage::create_raw_file(file, 0));
    DOPPEL_TRY(auto device, RawFile::open(io, file, {.writable = true}));
    if (device->regular()) {
        DOPPEL_CHECK(io.run(device->resize(wanted.size, wanted.options.preallocation)));
    } else if (device->size() < wanted.size) {
        return fail(Error{"make disk", file.string(), "the block device is too small for it", "choose a larger one"});
    }
    Disk disk;
    disk.device = std::move(device);
    return disk;
}

// The data file appears with the image, and is left alone where it exists: an image can be made for it.
Result<> make_data_file(const std::filesystem::path& image, const NewDisk& wanted) {
    DOPPEL_TRY(const auto path, storage::disk::resolve_name(image, *wanted.options.qcow2.data_file));
    if (std::filesystem::exists(path)) return {};
    return storage::create_raw_file(path, wanted.size);
}

Result<Disk> make_qcow2(IoContext& io, const std::filesystem::path& file, const NewDisk& wanted, bool exists) {
    storage::qcow2::CreateOptions options = wanted.options.qcow2;
    options.size = wanted.size;
    DOPPEL_CHECK(check_options(options));
    if (!exists) DOPPEL_CHECK(storage::create_raw_file(file, 0));
    if (options.data_file) DOPPEL_CHECK(make_data_file(file, wanted));
    {
        DOPPEL_TRY(auto container, RawFile::open(io, file, {.writable = true, .container = true}));
        DOPPEL_CHECK(io.run(create(*container, options)));
    }
    // What it stands on is the reader's question: it may not even be here yet.
    DOPPEL_TRY(Disk disk, io.run(storage::disk::open_disk(
                              io, file, {.format = Format::kQcow2, .writable = true, .backing = false})));
    if (wanted.options.preallocation != Preallocation::kOff) {
        if (options.backing_file)
            return fail(
                Error::usage("preallocation", "a disk that stands on another cannot be given its room at once"));
        DOPPEL_CHECK(io.run(disk.qcow2->preallocate(0, wanted.options.preallocation))
                         .result("give room to disk", file.string()));
    }
    return disk;
}

}  // namespace

Result<Disk> make(IoContext& io, const std::filesystem::path& file, const NewDisk& wanted) {
    const bool exists = std::filesystem::exists(file);  // a block device
    if (wanted.format == Format::kQcow2) return make_qcow2(io, file, wanted, exists);
    if (wanted.options.any_of_qcow2)
        return fail(Error::usage("-o", "raw disks know only preallocation", "give -f qcow2, or -O for convert"));
    return make_raw(io, file, wanted, exists);
}

Result<> close(IoContext& io, BlockDevice& device, const std::string& subject) {
    return io.run(device.close()).result("write disk", subject);
}

}  // namespace doppel::disk
