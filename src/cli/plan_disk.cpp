#include "cli/plan_disk.h"

#include <algorithm>
#include <filesystem>

#include "cli/disk_firmware.h"

namespace doppel::cli {

bool names_what_starts(const Arguments& arguments) {
    return std::ranges::any_of(kStartable, [&](const char* option) { return arguments.has(option); });
}

Result<> choose_disk(const Arguments& arguments, const Recognised& found, Plan& plan) {
    const std::string& path = arguments.operands()[0];
    if (found.content == Content::kForeignDisk)
        return fail(Error{"run", path, "it is " + found.kind + ", which doppel cannot read",
                          "convert it with qemu-img convert -O qcow2"});
    if (arguments.operands().size() > 1)
        return fail(Error{"run", arguments.operands()[1], "running a command inside a machine is not built yet", ""});
    plan.specification.disks.insert(plan.specification.disks.begin(), machine::DiskChoice{.path = path});
    if (plan.level.why.empty()) plan.level = {"machine", path + " is " + found.kind};
    return {};
}

Result<> start_through_firmware(const Arguments& arguments, const image::Catalog& catalog, Plan& plan) {
    for (const char* option : {"--initrd", "--append"})
        if (arguments.has(option))
            return fail(Error::usage(option, "does not apply to a disk that starts by itself",
                                     "give --kernel, too, or leave it out"));
    const std::filesystem::path roots[] = {catalog.directory().parent_path() / "firmware", "/"};
    machine::Specification& s = plan.specification;
    DOPPEL_TRY(const auto firmware, add_disk_firmware(roots, s.disks.front().path, s));
    plan.level.why += ", started by " + firmware.string();
    return {};
}

}  // namespace doppel::cli
