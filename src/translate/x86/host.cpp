#include "translate/x86/host.h"

#include <cpuid.h>

namespace doppel::translate::x86 {

namespace {

// Not every compiler's __builtin_cpu_supports knows the name.
bool has_lzcnt() {
    constexpr unsigned kExtendedFeatures = 0x8000'0001, kLzcnt = 1 << 5;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(kExtendedFeatures, &a, &b, &c, &d) != 0 && (c & kLzcnt) != 0;
}

}  // namespace

const HostFeatures& host_features() {
    static const HostFeatures features = [] {
        __builtin_cpu_init();
        HostFeatures found;
        found.bmi2 = __builtin_cpu_supports("bmi2");
        found.fma = __builtin_cpu_supports("fma");
        found.lzcnt = has_lzcnt();
        found.tzcnt = __builtin_cpu_supports("bmi");
        found.popcnt = __builtin_cpu_supports("popcnt");
        return found;
    }();
    return features;
}

}  // namespace doppel::translate::x86
