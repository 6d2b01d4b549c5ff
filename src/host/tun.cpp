#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Makes a tap interface in a network namespace that ends with the probe.
Finding probe_tun() {
    const std::string lost = "tap interfaces; the user-mode network serves instead";
    if (!enter_namespaces(CLONE_NEWNET)) return missing(failure("enter a network namespace", errno), lost);
    UniqueFd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (!tun) return missing(failure("open /dev/net/tun", errno), lost);
    ifreq request{};
    std::strcpy(request.ifr_name, "doppel%d");
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    if (ioctl(tun.get(), TUNSETIFF, &request) != 0) return missing(failure("make a tap interface", errno), lost);
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    if (ioctl(tun.get(), TUNSETOFFLOAD, offloads) != 0)
        return degraded("a tap interface was made, without offloads", "large segments on tap interfaces");
    return ok("a tap interface was made in a namespace, with offloads");
}

}  // namespace doppel::host
