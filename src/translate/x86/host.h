// What the host's processor offers beyond x86-64 as it began.
#pragma once

namespace doppel::translate::x86 {

struct HostFeatures {
    bool bmi2 = false;
    bool fma = false;
    bool lzcnt = false;
    bool tzcnt = false;  // BMI1
    bool popcnt = false;
    unsigned number() const {
        return (bmi2 ? 1u : 0) | (fma ? 2u : 0) | (lzcnt ? 4u : 0) | (tzcnt ? 8u : 0) | (popcnt ? 16u : 0);
    }
};

const HostFeatures& host_features();
// Without what can be done without.
inline constexpr HostFeatures kOldestHost{.popcnt = true};

}  // namespace doppel::translate::x86
