#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

Finding probe_memory() {
    const uint64_t total = number_after("/proc/meminfo", "MemTotal:").value_or(0) >> 10;
    const uint64_t available = number_after("/proc/meminfo", "MemAvailable:").value_or(0) >> 10;
    const uint64_t swap = number_after("/proc/meminfo", "SwapTotal:").value_or(0) >> 10;
    const std::string fact = std::to_string(available) + " of " + std::to_string(total) + " MiB available, " +
                             std::to_string(swap) + " MiB swap";
    constexpr uint64_t kComfortable = 1024;  // MiB: a guest of the default size and its host side by side
    if (available < kComfortable) return degraded(fact, "guests of the default memory size");
    return ok(fact);
}

}  // namespace doppel::host
