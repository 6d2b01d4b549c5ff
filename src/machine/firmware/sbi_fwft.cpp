// Chapter "SBI Firmware Features Extension" of version 3.0. Both features that exist here are local to a hart.
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

namespace {

enum Feature : uint32_t {
    kMisalignedExceptionDelegation = 0,
    kPteAdHardwareUpdating = 4,
    kLastDefined = 5,  // POINTER_MASKING_PMLEN
};

// A hart's features: what no CSR holds, and the locks.
constexpr uint32_t kMisalignedDelegated = 1;
constexpr uint32_t kLockBase = 1 << 8;
constexpr uint32_t lock_of(uint32_t feature) {
    return kLockBase << feature;
}

bool implemented(uint32_t feature) {
    return feature == kMisalignedExceptionDelegation || feature == kPteAdHardwareUpdating;
}

// What both functions answer about a feature that is not there.
SbiError missing(uint32_t feature) {
    return feature <= kLastDefined ? SbiError::kNotSupported : SbiError::kDenied;
}

void set_hardware_updating(isa::riscv::Hart& hart, bool enabled) {
    namespace envcfg = isa::riscv::envcfg;
    uint64_t changed = enabled ? hart.csr.menvcfg | envcfg::kAdue : hart.csr.menvcfg & ~envcfg::kAdue;
    if (changed == hart.csr.menvcfg) return;
    hart.csr.menvcfg = changed;
    hart.translation_version++;
}

// Delegated or not looks the same to the guest: misaligned loads and stores never trap, and a misaligned atomic, which
// firmware does not emulate, reaches S-mode in both cases. So the choice is remembered, and nothing else depends on it.
void set_misaligned_delegation(SbiCall& call, bool enabled) {
    if (enabled) {
        call.features.fetch_or(kMisalignedDelegated);
    } else {
        call.features.fetch_and(~kMisalignedDelegated);
    }
}

SbiAnswer set(SbiCall& call) {
    constexpr uint64_t kLock = 1;
    uint32_t feature = call.argument32(0);
    uint64_t value = call.argument(1), flags = call.argument(2);
    if (!implemented(feature)) return answer(missing(feature));
    if ((flags & ~kLock) != 0) return answer(SbiError::kInvalidParam);
    if (call.features.load() & lock_of(feature)) return answer(SbiError::kDeniedLocked);
    if (value > 1) return answer(SbiError::kInvalidParam);
    if (feature == kPteAdHardwareUpdating) {
        set_hardware_updating(call.hart, value != 0);
    } else {
        set_misaligned_delegation(call, value != 0);
    }
    if (flags & kLock) call.features.fetch_or(lock_of(feature));
    return {};
}

SbiAnswer get(SbiCall& call) {
    uint32_t feature = call.argument32(0);
    if (!implemented(feature)) return answer(missing(feature));
    bool enabled = feature == kPteAdHardwareUpdating ? (call.hart.csr.menvcfg & isa::riscv::envcfg::kAdue) != 0
                                                     : (call.features.load() & kMisalignedDelegated) != 0;
    return SbiAnswer::of(enabled ? 1 : 0);
}

}  // namespace

const uint32_t kFeaturesAtReset = kMisalignedDelegated;
const uint32_t kFeaturesKnown =
    kMisalignedDelegated | lock_of(kMisalignedExceptionDelegation) | lock_of(kPteAdHardwareUpdating);

SbiAnswer sbi_fwft(SbiCall& call) {
    switch (call.function()) {
        case 0:
            return set(call);
        case 1:
            return get(call);
        default:
            return answer(SbiError::kNotSupported);
    }
}

}  // namespace doppel::machine::firmware
