#include "cli/obtain.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "cli/launch.h"
#include "cli/own_system.h"

namespace doppel::cli {
namespace {

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

Result<bool> complete(Plan& plan, const image::Catalog& catalog, int& maker_code, const std::filesystem::path& own) {
    if (!plan.image.empty()) {
        DOPPEL_TRY(auto image, find_own_system(own));
        if (!image) {
            DOPPEL_TRY(image, obtain_image(plan, catalog, maker_code));
            if (!image) return false;
            if (image->has_disk() && !own.empty()) {
                DOPPEL_TRY(image, make_own_system(*image, own));
            }
        }
        DOPPEL_CHECK(add_image(plan, *image, own.empty() ? throwaway_disk(*image) : own_disk(own)));
    }
    DOPPEL_CHECK(check_readable("read kernel", plan.specification.kernel));
    DOPPEL_CHECK(check_readable("read initrd", plan.specification.initrd));
    DOPPEL_CHECK(check_readable("read firmware", plan.specification.firmware));
    return true;
}

}  // namespace doppel::cli
