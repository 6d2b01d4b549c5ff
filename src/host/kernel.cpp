#include <sys/utsname.h>

#include <cstdio>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

Finding probe_kernel() {
    utsname name{};
    uname(&name);
    const std::string fact = std::string(name.sysname) + " " + name.release + " " + name.machine;
    unsigned major = 0;
    unsigned minor = 0;
    // Debian 12's kernel is the oldest that is tested.
    if (std::sscanf(name.release, "%u.%u", &major, &minor) != 2 || major < 6 || (major == 6 && minor < 1))
        return degraded(fact, "nothing in itself, but kernels before 6.1 are not tested");
    return ok(fact);
}

}  // namespace doppel::host
