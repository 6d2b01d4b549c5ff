#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Mounts a file system on /tmp of a namespace of its own and reads the kernel's first request.
Finding probe_fuse() {
    const std::string lost = "mounting disk images and stored snapshots without root";
    UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!device) return missing(failure("open /dev/fuse", errno), lost);
    if (!enter_scratch_tmp()) return degraded(failure("/dev/fuse opens; enter a mount namespace", errno), lost);
    const std::string options = "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=0,group_id=0";
    if (mount("doppel", "/tmp", "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
        return degraded(failure("/dev/fuse opens; mount", errno), lost);
    // A request is at least 8 KiB of buffer; FUSE_INIT is struct fuse_in_header (40 bytes), then major and minor.
    alignas(8) uint8_t request[16384];
    pollfd ready{device.get(), POLLIN, 0};
    poll(&ready, 1, 1000);
    const ssize_t got = read(device.get(), request, sizeof request);
    if (got < 48) return degraded("mounted, but the kernel sent no request", lost);
    uint32_t version[2];
    std::memcpy(version, request + 40, sizeof version);
    umount2("/tmp", MNT_DETACH);
    return ok("mounted in a namespace, protocol " + std::to_string(version[0]) + "." + std::to_string(version[1]));
}

}  // namespace doppel::host
