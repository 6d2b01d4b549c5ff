#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

constexpr size_t kSize = 8 << 20;

// Kilobytes of huge pages behind a fresh mapping: anonymous memory when `fd` is -1.
uint64_t huge_after_touching(int fd, std::string_view key) {
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    auto* memory = static_cast<uint8_t*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, flags, fd, 0));
    if (memory == MAP_FAILED || madvise(memory, kSize, MADV_HUGEPAGE) != 0) return 0;
    for (size_t i = 0; i < kSize; i += 4096) const_cast<volatile uint8_t*>(memory)[i] = 1;
    return number_after("/proc/self/smaps_rollup", key).value_or(0);
}

// "always [madvise] never" -> "madvise"
std::string chosen(const std::string& path) {
    const std::string line = first_line(path).value_or("");
    const size_t from = line.find('[');
    const size_t to = line.find(']');
    return from == line.npos || to == line.npos || to < from ? "absent" : line.substr(from + 1, to - from - 1);
}

}  // namespace

Finding probe_transparent_huge_pages() {
    const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
    const std::string fact =
        "anonymous memory " + chosen(folder + "enabled") + ", shared memory " + chosen(folder + "shmem_enabled");
    const uint64_t anonymous = huge_after_touching(-1, "AnonHugePages:");
    const int fd = memfd_create("doppel-probe", MFD_CLOEXEC);
    const uint64_t shared = fd >= 0 && ftruncate(fd, kSize) == 0 ? huge_after_touching(fd, "ShmemPmdMapped:") : 0;
    if (anonymous == 0) return missing(fact + "; none was given", "fewer TLB misses in guest memory");
    if (shared == 0)
        return degraded(fact + "; given for anonymous memory only",
                        "huge pages under guest memory, which is shared memory");
    return ok(fact + "; given for both");
}

}  // namespace doppel::host
