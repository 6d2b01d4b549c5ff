#include "storage/qcow2/check.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "disk/opening.h"
#include "disk/verbs.h"
#include "storage/raw_file.h"

namespace doppel::disk {

namespace {

using nlohmann::json;
using storage::qcow2::CheckReport;
using storage::qcow2::Repair;
namespace storage_disk = storage::disk;

Result<CheckReport> run(storage::IoContext& io, const CheckCommand& command, Repair repair) {
    DOPPEL_TRY(auto file,
               storage::RawFile::open(io, command.file, {.writable = repair != Repair::kNothing, .container = true}));
    return io.run(storage::qcow2::check(*file, {.repair = repair}));
}

void print_json(const CheckCommand& command, const CheckReport& report) {
    const json shown{{"path", command.file},
                     {"format", "qcow2"},
                     {"corruptions", report.corruptions_left()},
                     {"leaks", report.leaks_left()},
                     {"corruptions_fixed", report.corruptions_fixed},
                     {"leaks_fixed", report.leaks_fixed},
                     {"total_clusters", report.clusters},
                     {"allocated_clusters", report.allocated},
                     {"fragmented_clusters", report.fragmented},
                     {"compressed_clusters", report.compressed},
                     {"image_end_offset", report.end},
                     {"messages", report.messages}};
    std::puts(shown.dump(2, ' ', false, json::error_handler_t::replace).c_str());
}

void print(const CheckReport& report) {
    for (const std::string& message : report.messages) std::puts(printable(message).c_str());
    auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    if (report.corruptions_fixed + report.leaks_fixed > 0)
        std::printf("mended: %llu errors, %llu leaked clusters\n", number(report.corruptions_fixed),
                    number(report.leaks_fixed));
    if (report.corruptions_left() + report.leaks_left() == 0)
        std::puts("no errors were found");
    else
        std::printf("%llu errors, %llu leaked clusters\n", number(report.corruptions_left()),
                    number(report.leaks_left()));
    const uint64_t all = std::max<uint64_t>(report.clusters, 1), used = std::max<uint64_t>(report.allocated, 1);
    std::printf("%llu of %llu clusters allocated (%.2f%%), %.2f%% fragmented, %.2f%% compressed; ends at %llu\n",
                number(report.allocated), number(report.clusters),
                100.0 * static_cast<double>(report.allocated) / static_cast<double>(all),
                100.0 * static_cast<double>(report.fragmented) / static_cast<double>(used),
                100.0 * static_cast<double>(report.compressed) / static_cast<double>(used), number(report.end));
}

}  // namespace

Result<int> check(const CheckCommand& command) {
    Repair repair = Repair::kNothing;
    if (command.repair == "leaks")
        repair = Repair::kLeaks;
    else if (command.repair == "all")
        repair = Repair::kAll;
    else if (!command.repair.empty())
        return fail(Error::usage("--repair " + command.repair, "it is leaks or all"));
    storage_disk::Format format = storage_disk::Format::kRaw;
    if (command.format.empty()) {
        DOPPEL_TRY(format, storage_disk::recognise(command.file));
    } else {
        DOPPEL_TRY(format, storage_disk::parse_format(command.format));
    }
    if (format == storage_disk::Format::kRaw)
        return fail(Error{"check disk", command.file, "raw disks have nothing that could be checked", ""});
    DOPPEL_TRY(auto io, storage::IoContext::create());
    DOPPEL_TRY(const CheckReport report, run(*io, command, repair));
    if (command.as_json)
        print_json(command, report);
    else
        print(report);
    if (report.corruptions_left() + report.leaks_left() == 0) return 0;
    return fail(Error{"check disk", command.file,
                      report.corruptions_left() > 0 ? "its tables are damaged" : "it takes more room than it needs",
                      "doppel disk check --repair mends what can be"});
}

}  // namespace doppel::disk
