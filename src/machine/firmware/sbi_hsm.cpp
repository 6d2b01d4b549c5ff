// Chapter "Hart State Management Extension".
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

namespace {

// Whether a hart could fetch its first instruction there. The firmware leaves physical memory protection open.
bool executable(Services& services, uint64_t address) {
    constexpr uint64_t kShortestInstruction = 2;
    return address % kShortestInstruction == 0 && services.memory().find_code(address, kShortestInstruction) != nullptr;
}

SbiAnswer start(SbiCall& call) {
    uint64_t hart = call.argument(0), address = call.argument(1);
    if (hart >= call.services.hart_count()) return answer(SbiError::kInvalidParam);
    if (!executable(call.services, address)) return answer(SbiError::kInvalidAddress);
    unsigned target = static_cast<unsigned>(hart);
    if (call.services.start_hart(target, address, call.argument(2))) return {};
    switch (call.services.hart_state(target)) {
        // On its way down, or down since we asked: not available already, but not started by this call either.
        case HartState::kStopPending:
        case HartState::kStopped:
            return answer(SbiError::kFailed);
        default:
            return answer(SbiError::kAlreadyAvailable);
    }
}

SbiAnswer status(SbiCall& call) {
    uint64_t hart = call.argument(0);
    if (hart >= call.services.hart_count()) return answer(SbiError::kInvalidParam);
    return SbiAnswer::of(static_cast<uint64_t>(call.services.hart_state(static_cast<unsigned>(hart))));
}

// Table "HSM Hart Resume Register State". All that the specification leaves undefined stays, mie with it: that is what
// ends the suspension.
SbiAnswer suspend_without_retention(SbiCall& call) {
    uint64_t address = call.argument(1), opaque = call.argument(2);
    if (!executable(call.services, address)) return answer(SbiError::kInvalidAddress);
    isa::riscv::Hart& hart = call.hart;
    hart.csr.satp = 0;
    hart.csr.mstatus &= ~isa::riscv::mstatus::kSie;
    hart.x[kA0] = call.caller;
    hart.x[kA1] = opaque;
    hart.pc = address;
    return SbiAnswer::placed_at_pc(Next::kSuspend);
}

SbiAnswer suspend(SbiCall& call) {
    constexpr uint32_t kDefaultRetentive = 0, kDefaultNonRetentive = 0x8000'0000;
    switch (call.argument32(0)) {
        case kDefaultRetentive:
            return {SbiError::kSuccess, 0, Next::kSuspend};
        case kDefaultNonRetentive:
            return suspend_without_retention(call);
        default:
            return answer(SbiError::kInvalidParam);
    }
}

}  // namespace

SbiAnswer sbi_hsm(SbiCall& call) {
    switch (call.function()) {
        case 0:
            return start(call);
        case 1:
            return {SbiError::kSuccess, 0, Next::kStop};
        case 2:
            return status(call);
        case 3:
            return suspend(call);
        default:
            return answer(SbiError::kNotSupported);
    }
}

}  // namespace doppel::machine::firmware
