#include "cli/plan_tree.h"

#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "image/makeable.h"

namespace doppel::cli {

namespace fs = std::filesystem;

std::string kernel_in_tree(const std::string& tree) {
    std::string newest, version;
    std::error_code error;
    for (fs::directory_iterator entry(fs::path(tree) / "boot", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename();
        std::error_code gone;
        if (!entry->is_regular_file(gone) || entry->is_symlink(gone))
            continue;  // an absolute link leads out of the tree
        for (const std::string_view kind : {"vmlinuz-", "vmlinux-"}) {
            if (!name.starts_with(kind) || ::strverscmp(name.c_str() + kind.size(), version.c_str()) <= 0) continue;
            newest = entry->path();
            version = name.substr(kind.size());
        }
    }
    return newest;
}

Result<> choose_tree(const Arguments& arguments, const std::string& path, Plan& plan) {
    machine::Specification& s = plan.specification;
    if (arguments.operands().size() > 1)
        return fail(Error{"run", arguments.operands()[1], "running a command inside a machine is not built yet", ""});
    for (const char* option : {"--initrd", "--firmware", "--flash"})
        if (arguments.has(option))
            return fail(
                Error::usage(option, "does not apply to a root tree, which a kernel starts from", "leave it out"));
    machine::ShareChoice root{.path = path, .guest = "/"};
    root.snapshot = !arguments.has("--rw");
    s.shares.insert(s.shares.begin(), std::move(root));
    if (s.kernel.empty()) s.kernel = kernel_in_tree(path);
    if (s.kernel.empty()) plan.image = image::kTinyName;
    if (plan.level.why.empty()) plan.level = {"machine", path + " is a root tree"};
    return {};
}

}  // namespace doppel::cli
