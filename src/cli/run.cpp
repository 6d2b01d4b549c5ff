// doppel run: decide, make what is missing, and become the machine.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/launch.h"
#include "cli/plan.h"

namespace doppel::cli {
namespace {

int explain(const Plan& plan, bool json) {
    if (json) {
        const nlohmann::json text{
            {"level", plan.level.value},
            {"arch", plan.arch.value},
            {"engine", plan.engine.value},
            {"why", {{"level", plan.level.why}, {"arch", plan.arch.why}, {"engine", plan.engine.why}}}};
        std::puts(text.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
        return 0;
    }
    for (const auto& [name, choice] :
         {std::pair{"level", &plan.level}, {"architecture", &plan.arch}, {"engine", &plan.engine}})
        std::printf("%-13s %-10s %s\n", name, choice->value.c_str(), choice->why.c_str());
    return 0;
}

// The image, made first if need be. Nothing when the maker failed, having said why.
Result<std::optional<image::Image>> obtain_image(const Plan& plan, const image::Catalog& catalog, int& maker_code) {
    DOPPEL_TRY(auto image, catalog.find(plan.image, plan.arch.value));
    if (image) return image;
    DOPPEL_TRY(maker_code, run_and_wait("doppel-image", {"make", plan.image, "--arch", plan.arch.value}));
    if (maker_code != 0) return std::optional<image::Image>();
    DOPPEL_TRY(image, catalog.find(plan.image, plan.arch.value));
    if (!image) return fail(Error{"run", plan.image, "the image is not there although it was made", ""});
    return image;
}

// Said here rather than by the machine: before the terminal is touched.
Result<> check_readable(std::string_view purpose, const std::string& path) {
    if (path.empty()) return {};
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return fail(Error::system(std::string(purpose), path, errno));
    // Opening a FIFO would wait for its writer.
    if (!S_ISREG(status.st_mode)) return fail(Error{std::string(purpose), path, "it is not a regular file", ""});
    DOPPEL_CHECK(open_for_reading(path, purpose));
    return {};
}

}  // namespace

Result<int> run_run(const Arguments& arguments) {
    DOPPEL_TRY(const image::Catalog catalog, image::Catalog::of_user());
    DOPPEL_TRY(Plan plan, make_plan(arguments, catalog));
    if (arguments.has("--explain")) return explain(plan, arguments.has("--json"));
    if (!plan.image.empty()) {
        int maker_code = 0;
        DOPPEL_TRY(const auto image, obtain_image(plan, catalog, maker_code));
        if (!image) return maker_code > 128 ? maker_code : arguments.verb().failure;
        DOPPEL_CHECK(add_image(plan, *image));
    }
    DOPPEL_CHECK(check_readable("read kernel", plan.specification.kernel));
    DOPPEL_CHECK(check_readable("read initrd", plan.specification.initrd));
    DOPPEL_CHECK(check_readable("read firmware", plan.specification.firmware));
    if (!plan.arch_was_asked && isatty(STDERR_FILENO) == 1)
        std::fprintf(stderr, "doppel: a %s machine: %s\n", plan.arch.value.c_str(), plan.arch.why.c_str());
    DOPPEL_TRY(const UniqueFd specification, machine::to_memfd(plan.specification));
    return fail(become("doppel-machine", {"--spec-fd", std::to_string(specification.get())}));
}

Result<int> run_image(const Arguments& arguments) {
    return fail(become("doppel-image", arguments.operands()));
}

Result<int> run_disk(const Arguments& arguments) {
    return fail(become("doppel-disk", arguments.operands()));
}

}  // namespace doppel::cli
