#include <fmt/format.h>

#include <cstdio>

#include "base/sizes.h"
#include "disk/opening.h"
#include "disk/target.h"
#include "disk/verbs.h"

namespace doppel::disk {

namespace {

using storage::IoContext;
namespace storage_disk = storage::disk;

// Names in an image start at its folder, wherever the command runs.
Result<uint64_t> size_of_backing(IoContext& io, const CreateCommand& command, FormatOptions& options) {
    DOPPEL_TRY(const auto path, storage_disk::resolve_name(command.file, *options.qcow2.backing_file));
    DOPPEL_TRY(const auto disk, open(io, path, options.qcow2.backing_format.value_or(""), {}));
    options.qcow2.backing_format = std::string(storage_disk::name_of(disk.format));
    return disk.device->size();
}

}  // namespace

Result<int> create(const CreateCommand& command) {
    DOPPEL_TRY(auto io, IoContext::create());
    NewDisk wanted;
    DOPPEL_TRY(wanted.format, storage_disk::parse_format(command.format));
    DOPPEL_TRY(wanted.options, parse_format_options(command.options));
    auto& qcow2 = wanted.options.qcow2;
    if (!command.backing.empty()) qcow2.backing_file = command.backing;
    if (!command.backing_format.empty()) qcow2.backing_format = command.backing_format;
    if (qcow2.backing_file && wanted.format != storage_disk::Format::kQcow2)
        return fail(Error::usage("-b", "raw disks stand on no other", "give -f qcow2"));
    if (!command.size.empty()) {
        DOPPEL_TRY(wanted.size, parse_size(command.size, "SIZE"));
    }
    if (qcow2.backing_file && !command.unchecked) {
        DOPPEL_TRY(const uint64_t size, size_of_backing(*io, command, wanted.options));
        if (command.size.empty()) wanted.size = size;
    } else if (command.size.empty()) {
        return fail(Error::usage("SIZE", "it is missing", "give one like 10G"));
    }
    DOPPEL_TRY(Target target, Target::prepare(command.file));
    {
        DOPPEL_TRY(auto disk, make(*io, target.path(), wanted));
        DOPPEL_CHECK(close(*io, *disk.device, command.file));
    }
    DOPPEL_CHECK(target.commit());
    if (!command.quiet)
        std::printf("%s: %s disk of %s\n", command.file.c_str(), command.format.c_str(),
                    format_size_rounded(wanted.size).c_str());
    return 0;
}

}  // namespace doppel::disk
