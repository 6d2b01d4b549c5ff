#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/sizes.h"
#include "disk/opening.h"
#include "disk/verbs.h"
#include "storage/qcow2/bitmaps.h"

namespace doppel::disk {

namespace {

using nlohmann::json;
using storage::qcow2::Header;
using storage::qcow2::Image;
namespace storage_disk = storage::disk;
namespace qcow2 = storage::qcow2;

std::string time_text(uint32_t seconds) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

json snapshots_of(const Image& image) {
    json list = json::array();
    for (const auto& one : image.snapshots())
        list.push_back({{"id", one.id},
                        {"name", one.name},
                        {"created", time_text(one.seconds)},
                        {"vm_state_size", one.vm_state_size},
                        {"virtual_size", one.disk_size}});
    return list;
}

json bitmaps_of(storage::IoContext& io, Image& image) {
    json list = json::array();
    const auto bitmaps = io.run(qcow2::read_bitmaps(image.file(), image.header()));
    if (!bitmaps) return list;
    const bool consistent = (image.header().autoclear & qcow2::autoclear::kBitmaps) != 0;
    for (const auto& one : *bitmaps)
        list.push_back({{"name", one.name},
                        {"granularity", uint64_t{1} << (one.granularity_bits & 63)},
                        {"in_use", (one.flags & qcow2::Bitmap::kInUse) != 0},
                        {"auto", (one.flags & qcow2::Bitmap::kAuto) != 0},
                        {"consistent", consistent}});
    return list;
}

json describe_qcow2(storage::IoContext& io, Image& image) {
    const Header& h = image.header();
    json one{{"cluster_size", h.geometry.cluster_size()},
             {"compat", h.version == 2 ? "0.10" : "1.1"},
             {"compression_type", h.compression == qcow2::Compression::kZstd ? "zstd" : "zlib"},
             {"lazy_refcounts", h.lazy_refcounts()},
             {"refcount_bits", h.geometry.refcount_bits()},
             {"extended_l2", h.geometry.extended},
             {"dirty", h.has(qcow2::incompatible::kDirty)},
             {"corrupt", h.has(qcow2::incompatible::kCorrupt)},
             {"snapshots", snapshots_of(image)},
             {"bitmaps", bitmaps_of(io, image)}};
    if (h.backing_file) one["backing_file"] = *h.backing_file;
    if (h.backing_format) one["backing_format"] = *h.backing_format;
    if (h.data_file) one["data_file"] = *h.data_file;
    if (h.external()) one["data_file_raw"] = h.raw_external();
    return one;
}

Result<json> describe(storage::IoContext& io, const std::string& file, const std::string& format,
                      std::optional<std::string>& next, std::string& next_format) {
    // Nobody is disturbed by a look.
    DOPPEL_TRY(const auto disk, open(io, file, format, {.share = true, .backing = false}));
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return fail(Error::system("look at disk", file, errno));
    json one{{"path", file},
             {"format", storage_disk::name_of(disk.format)},
             {"virtual_size", disk.device->size()},
             {"disk_size", static_cast<uint64_t>(status.st_blocks) * 512}};
    next.reset();
    if (disk.qcow2 == nullptr) return one;
    one.update(describe_qcow2(io, *disk.qcow2));
    const Header& header = disk.qcow2->header();
    if (!header.backing_file) return one;
    DOPPEL_TRY(const auto path, storage_disk::resolve_name(file, *header.backing_file));
    next = path.string();
    next_format = header.backing_format.value_or("");
    return one;
}

void print_sizes(const json& one) {
    for (const auto& [key, label] : {std::pair{"virtual_size", "virtual size"}, std::pair{"disk_size", "disk size"},
                                     std::pair{"cluster_size", "cluster size"}}) {
        if (!one.contains(key)) continue;
        const auto bytes = one[key].get<uint64_t>();
        std::printf("%s: %s (%llu bytes)\n", label, format_size_rounded(bytes).c_str(),
                    static_cast<unsigned long long>(bytes));
    }
}

void print(const json& one) {
    std::printf("disk: %s\nformat: %s\n", printable(one["path"].get<std::string>()).c_str(),
                one["format"].get<std::string>().c_str());
    print_sizes(one);
    for (const auto& [key, value] : one.items()) {
        if (key == "path" || key == "format" || key.ends_with("_size") || value.is_array()) continue;
        std::string label = key;
        std::ranges::replace(label, '_', ' ');
        const std::string text = value.is_string()    ? value.get<std::string>()
                                 : value.is_boolean() ? (value.get<bool>() ? "yes" : "no")
                                                      : value.dump();
        std::printf("%s: %s\n", label.c_str(), printable(text).c_str());
    }
    for (const char* key : {"snapshots", "bitmaps"}) {
        if (!one.contains(key) || one[key].empty()) continue;
        std::printf("%s:\n", key);
        for (const json& each : one[key])
            std::printf("  %s\n", printable(each.dump(-1, ' ', false, json::error_handler_t::replace)).c_str());
    }
}

}  // namespace

Result<int> info(const InfoCommand& command) {
    DOPPEL_TRY(auto io, storage::IoContext::create());
    json list = json::array();
    std::optional<std::string> next = command.file;
    std::string format = command.format;
    std::set<std::string> seen;
    while (next) {
        const std::string file = *next;
        if (!seen.insert(file).second || seen.size() > storage_disk::kMaxChain)
            return fail(Error{"look at disk", file, "it stands on itself, through others", "rebase one of them"});
        DOPPEL_TRY(json one, describe(*io, file, format, next, format));
        list.push_back(std::move(one));
        if (!command.chain) break;
    }
    if (command.as_json) {
        const json& shown = command.chain ? list : list[0];
        std::puts(shown.dump(2, ' ', false, json::error_handler_t::replace).c_str());
        return 0;
    }
    for (size_t i = 0; i < list.size(); i++) {
        if (i > 0) std::puts("");
        print(list[i]);
    }
    return 0;
}

}  // namespace doppel::disk
