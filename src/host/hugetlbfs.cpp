#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Maps and touches one reserved page.
Finding probe_hugetlbfs() {
    const std::string lost = "guest memory on reserved huge pages; transparent ones serve instead";
    const uint64_t size = number_after("/proc/meminfo", "Hugepagesize:").value_or(0) << 10;
    if (size == 0) return missing("the kernel has no hugetlbfs", lost);
    const std::string each = std::to_string(size >> 20) + " MiB pages: ";
    const uint64_t total = number_after("/proc/meminfo", "HugePages_Total:").value_or(0);
    const uint64_t available = number_after("/proc/meminfo", "HugePages_Free:").value_or(0);
    const std::string count = std::to_string(available) + " of " + std::to_string(total) + " free";
    void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (page == MAP_FAILED) return degraded(each + count + "; " + failure("map one", errno), lost);
    munmap(page, size);
    return ok(each + count + ", one was mapped");
}

}  // namespace doppel::host
