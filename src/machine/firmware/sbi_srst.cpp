// Chapter "System Reset Extension".
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

SbiAnswer sbi_srst(SbiCall& call) {
    enum : uint32_t { kShutdown, kColdReboot, kWarmReboot };
    enum : uint32_t { kNoReason, kSystemFailure };
    if (call.function() != 0) return answer(SbiError::kNotSupported);
    uint32_t type = call.argument32(0), reason = call.argument32(1);
    if (type > kWarmReboot || reason > kSystemFailure) return answer(SbiError::kInvalidParam);
    call.services.reset_system(type == kShutdown ? SystemReset::kShutdown : SystemReset::kReboot,
                               reason == kSystemFailure);
    return {SbiError::kSuccess, 0, Next::kStop};
}

}  // namespace doppel::machine::firmware
