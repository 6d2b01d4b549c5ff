#include <sched.h>
#include <unistd.h>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

Finding probe_cores() {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    // EINVAL on hosts with more processors than a cpu_set_t holds: then all of them count.
    const long usable = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : online;
    const std::string fact = std::to_string(usable) + " of " + std::to_string(online) + " processors usable";
    if (usable < 2) return degraded(fact, "guest processors and device threads that run side by side");
    return ok(fact);
}

}  // namespace doppel::host
