#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

// By the system call, else by /dev/userfaultfd, which needs no privilege but access to the file.
UniqueFd open_for_all_faults() {
    UniqueFd direct(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
    if (direct) return direct;
    UniqueFd device(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
    return UniqueFd(device ? ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK) : -1);
}

}  // namespace

Finding probe_userfaultfd() {
    const std::string lost = "starting a restored or moved guest before its memory has arrived";
    UniqueFd all = open_for_all_faults();
    const bool kernel_faults = static_cast<bool>(all);
    if (!all) all.reset(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
    if (!all) return missing(failure("userfaultfd", errno), lost);
    uffdio_api api{};
    api.api = UFFD_API;
    if (ioctl(all.get(), UFFDIO_API, &api) != 0) return missing(failure("UFFDIO_API", errno), lost);
    const bool shared = (api.features & UFFD_FEATURE_MISSING_SHMEM) != 0;
    const bool write_protect = (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
    const std::string fact = std::string(kernel_faults ? "all faults" : "user-mode faults only") +
                             (shared ? ", shared memory" : "") + (write_protect ? ", write protection" : "");
    if (!shared) return degraded(fact, lost);
    if (!kernel_faults) return degraded(fact, "lazy memory under system calls; guest memory is then filled by hand");
    return ok(fact);
}

}  // namespace doppel::host
