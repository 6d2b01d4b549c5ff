#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/sizes.h"
#include "disk/opening.h"
#include "disk/verbs.h"

namespace doppel::disk {

namespace {

// "10G", "+1G", "-512M".
Result<uint64_t> new_size(const std::string& text, uint64_t present) {
    const bool up = text.starts_with("+"), down = text.starts_with("-");
    DOPPEL_TRY(const uint64_t size, parse_size(up || down ? text.substr(1) : text, "SIZE"));
    if (up && size > UINT64_MAX - present) return fail(Error::usage("SIZE " + text, "it is too large"));
    if (down && size > present) return fail(Error::usage("SIZE " + text, "the disk has less than that"));
    return up ? present + size : down ? present - size : size;
}

}  // namespace

Result<int> resize(const ResizeCommand& command) {
    DOPPEL_TRY(const auto preallocation, parse_preallocation(command.preallocation));
    DOPPEL_TRY(auto io, storage::IoContext::create());
    DOPPEL_TRY(auto disk, open(*io, command.file, command.format, {.writable = true}));
    const uint64_t old = disk.device->size();
    DOPPEL_TRY(const uint64_t size, new_size(command.size, old));
    if (size < old && !command.shrink)
        return fail(
            Error::usage(command.file, "what lies behind the new end would be lost", "say --shrink if it may be"));
    DOPPEL_CHECK(io->run(disk.device->resize(size, preallocation)));
    DOPPEL_CHECK(close(*io, *disk.device, command.file));
    if (command.as_json)
        std::puts(nlohmann::json{{"path", command.file}, {"virtual_size", size}, {"old_virtual_size", old}}
                      .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                      .c_str());
    else
        std::printf("%s: %s, was %s\n", command.file.c_str(), format_size_rounded(size).c_str(),
                    format_size_rounded(old).c_str());
    return 0;
}

}  // namespace doppel::disk
