#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

UniqueFd open_counter(uint32_t type, uint64_t config) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    return UniqueFd(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

}  // namespace

// Counts a loop of known length with the host's own instruction counter.
Finding probe_perf() {
    const std::string lost = "counting host instructions; profiles fall back to time";
    UniqueFd counter = open_counter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
    if (!counter) {
        const std::string why = failure("hardware counters", errno);
        if (open_counter(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK))
            return degraded(why + "; software events work", lost);
        return missing(why + "; no software events", "profiles of running guests");
    }
    constexpr int kLoop = 100000;
    for (volatile int i = 0; i < kLoop;) i = i + 1;
    uint64_t counted = 0;
    if (read(counter.get(), &counted, sizeof counted) != sizeof counted || counted < kLoop)
        return degraded("a hardware counter opens but does not count", lost);
    return ok("hardware counters count");
}

}  // namespace doppel::host
