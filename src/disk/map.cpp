#include <cstdio>
#include <nlohmann/json.hpp>

#include "disk/opening.h"
#include "disk/verbs.h"

namespace doppel::disk {

namespace {

using nlohmann::json;
using storage::Extent;

bool continues(const Extent& before, uint64_t length, const Extent& next) {
    if (before.zero != next.zero || before.data != next.data || before.depth != next.depth ||
        before.allocated != next.allocated || before.compressed != next.compressed || before.file != next.file ||
        before.host_offset.has_value() != next.host_offset.has_value())
        return false;
    return !before.host_offset || *before.host_offset + length == *next.host_offset;
}

// Printed as they are found: a map of a large disk is long.
class Printer {
  public:
    explicit Printer(bool as_json) : as_json_(as_json) {
        if (as_json_)
            std::printf("[");
        else
            std::printf("%-18s  %-18s  %-18s  %s\n", "OFFSET", "LENGTH", "MAPPED TO", "FILE");
    }
    void print(uint64_t start, const Extent& extent) {
        if (!as_json_) {
            if (!extent.data) return;
            const unsigned long long host = extent.host_offset.value_or(0);
            std::printf("%#-18llx  %#-18llx  ", static_cast<unsigned long long>(start),
                        static_cast<unsigned long long>(extent.length));
            if (extent.host_offset)
                std::printf("%#-18llx", host);
            else
                std::printf("%-18s", extent.compressed ? "(compressed)" : "");
            std::printf("  %s\n", printable(extent.file).c_str());
            return;
        }
        json one{{"start", start},
                 {"length", extent.length},
                 {"depth", extent.depth},
                 {"present", extent.allocated},
                 {"zero", extent.zero},
                 {"data", extent.data},
                 {"compressed", extent.compressed}};
        if (extent.host_offset) one["offset"] = *extent.host_offset;
        if (extent.data) one["file"] = extent.file;
        std::printf("%s\n  %s", first_ ? "" : ",", one.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
        first_ = false;
    }
    void end() {
        if (as_json_) std::puts(first_ ? "]" : "\n]");
    }

  private:
    const bool as_json_;
    bool first_ = true;
};

}  // namespace

Result<int> map(const MapCommand& command) {
    DOPPEL_TRY(auto io, storage::IoContext::create());
    DOPPEL_TRY(auto disk, open(*io, command.file, command.format, {.share = command.share}));
    Printer printer(command.as_json);
    uint64_t start = 0;
    std::optional<Extent> present;
    for (uint64_t at = 0; at < disk.device->size();) {
        DOPPEL_TRY(Extent next, io->run(disk.device->extent(at, disk.device->size() - at)));
        at += next.length;
        if (present && continues(*present, present->length, next)) {
            present->length += next.length;
            continue;
        }
        if (present) {
            printer.print(start, *present);
            start += present->length;
        }
        present = std::move(next);
    }
    if (present) printer.print(start, *present);
    printer.end();
    return 0;
}

}  // namespace doppel::disk
