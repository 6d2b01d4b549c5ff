#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>

#include "memory/frozen_copy.h"
#include "memory/guest_memory.h"
#include "memory/mapping.h"

namespace doppel::memory {

namespace {

// One region on its way to being frozen.
struct Step {
    Region* region;
    UniqueFd content;    // what the generation gets
    UniqueFd successor;  // the region's next file, when it was frozen before; else it keeps its own
};

// A region that was never frozen gives its own file away; one that was needs a copy of file and private pages together,
// unless nothing was written since.
Result<Step> prepare(const UniqueFd& pagemap, Region& region) {
    Step step{&region, {}, {}};
    if (region.frozen) {
        bool unchanged = pagemap && is_sealed(region.file) && region.zeroed.count() == 0 &&
                         count_private_bytes(pagemap, region) == 0;
        if (!unchanged) {
            DOPPEL_TRY(step.successor, copy_frozen(pagemap, region));
        }
    }
    DOPPEL_TRY(step.content, duplicate(step.successor ? step.successor : region.file));
    return step;
}

Error freeze_failed(const Region& region, int error_number) {
    return Error::system("freeze guest memory", fmt::format("region at {:#x}", region.base), error_number);
}

// The successor holds what the guest sees, so mapping it changes nothing for the guest, whatever becomes of the other
// regions.
Result<> adopt_successor(Step& step) {
    Region& region = *step.region;
    if (map_file(step.successor.get(), region.size, MAP_PRIVATE, region.host) == nullptr) {
        return fail(freeze_failed(region, errno));
    }
    region.file = std::move(step.successor);
    region.zeroed.clear();
    return {};
}

// Turns a shared region into a private view of its own file, sealed. A file that cannot be sealed is mapped shared
// again; where not even that is possible the region counts as frozen over a file that nobody else has.
Result<> seal_region(Region& region) {
    region.huge_pages.stop();
    // Sealing waits for the last shared writable mapping to go.
    if (map_file(region.file.get(), region.size, MAP_PRIVATE, region.host) == nullptr) {
        return fail(freeze_failed(region, errno));
    }
    if (!seal(region.file)) {
        int error_number = errno;
        region.frozen = map_file(region.file.get(), region.size, MAP_SHARED, region.host) == nullptr;
        return fail(freeze_failed(region, error_number));
    }
    region.frozen = true;
    return {};
}

}  // namespace

// Failures are likely only while preparing, where nothing has changed. Each later step leaves its region with the same
// content at the same place, be it shared, or private over a sealed file: a failure half-way is invisible to the guest,
// and a later freeze takes regions in either form.
Result<std::shared_ptr<const Generation>> GuestMemory::freeze() {
    std::lock_guard guard(lock_);
    std::vector<Step> steps;
    for (const auto& region : regions_) {
        DOPPEL_TRY(Step step, prepare(pagemap_, *region));
        steps.push_back(std::move(step));
    }
    auto generation = std::make_shared<Generation>();
    for (Step& step : steps) {
        Region& region = *step.region;
        if (step.successor) {
            DOPPEL_CHECK(adopt_successor(step));
        } else if (!region.frozen) {
            DOPPEL_CHECK(seal_region(region));
        }
        generation->ranges.push_back(
            {region.base, region.size, std::move(step.content), region.writable, region.code_only});
    }
    return generation;
}

}  // namespace doppel::memory
