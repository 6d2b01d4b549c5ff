#include "translate/x86/host.h"

namespace doppel::translate::x86 {

const HostFeatures& host_features() {
    static const HostFeatures features = [] {
        __builtin_cpu_init();
        HostFeatures found;
        found.bmi2 = __builtin_cpu_supports("bmi2");
        found.fma = __builtin_cpu_supports("fma");
        found.lzcnt = __builtin_cpu_supports("lzcnt");
        found.tzcnt = __builtin_cpu_supports("bmi");
        found.popcnt = __builtin_cpu_supports("popcnt");
        return found;
    }();
    return features;
}

}  // namespace doppel::translate::x86
