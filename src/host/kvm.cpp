#include <cstdio>

#include "host/kvm_guest.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

// Software ring 0 is measured at 1 to 3 million a second, hardware above 500 million: nothing lies near this line.
constexpr double kNativeFloor = 100e6;

}  // namespace

Finding probe_kvm() {
    const auto guest = make_kvm_guest();
    if (!guest)
        return missing(guest.error().why, "the hardware level: guests of the host's own architecture at native speed");
    return ok("a virtual machine with a processor was made");
}

Finding probe_ring0() {
    const std::string lost = "native kernels under KVM; translation is the faster engine here";
    const auto speed = measure_ring0();
    if (!speed) return missing(speed.error().why, lost);
    char rate[32];
    std::snprintf(rate, sizeof rate, "%.1f", speed->per_second() / 1e6);
    const std::string fact = "a loop in a guest's ring 0 runs " + std::string(rate) + " million instructions a second";
    if (speed->per_second() < kNativeFloor) return degraded("software: " + fact, lost);
    return ok("native: " + fact);
}

}  // namespace doppel::host
