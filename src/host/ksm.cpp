#include <sys/mman.h>

#include <cerrno>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

Finding probe_ksm() {
    const std::string lost = "merging equal pages of guests that were not forked from each other";
    constexpr size_t kSize = 65536;
    void* pages = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, kSize, MADV_MERGEABLE) != 0)
        return missing(failure("madvise MADV_MERGEABLE", errno), lost);
    if (number_in("/sys/kernel/mm/ksm/run").value_or(0) != 1)
        return degraded("pages can be offered, but the merging thread does not run", lost);
    return ok("running, " + std::to_string(number_in("/sys/kernel/mm/ksm/pages_sharing").value_or(0)) + " pages saved");
}

}  // namespace doppel::host
