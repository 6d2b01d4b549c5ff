#include <fcntl.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Opening the control device is as far as a probe may go: LOOP_CTL_GET_FREE makes a device.
Finding probe_loop_devices() {
    UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control)
        return missing(failure("open /dev/loop-control", errno),
                       "mounting raw disk images by the kernel; FUSE serves instead");
    return ok("/dev/loop-control opens for writing");
}

}  // namespace doppel::host
