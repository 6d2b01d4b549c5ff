// Chapter "RFENCE Extension".
#include <bit>

#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

// A stopped hart is asked too: it does the fence when it runs again, so that it never runs what was there before.
void fence_harts(SbiCall& call, uint64_t harts, Fence fence) {
    if (harts == 0) return;
    for (uint64_t left = harts; left != 0; left &= left - 1) {
        cpu::Vcpu& vcpu = call.services.vcpu(static_cast<unsigned>(std::countr_zero(left)));
        if (fence == Fence::kInstructions) {
            vcpu.request_instruction_fence();
        } else {
            vcpu.request_translation_fence();
        }
    }
    call.services.wait_for_fences(call.caller, harts);
}

SbiError check_fence_range(uint64_t start, uint64_t size) {
    constexpr uint64_t kEverything = ~uint64_t{0};
    if (size == 0 || size == kEverything) return SbiError::kSuccess;
    bool wraps = start + (size - 1) < start;
    return wraps ? SbiError::kInvalidAddress : SbiError::kSuccess;
}

SbiError check_fence_space(uint64_t asid) {
    constexpr uint64_t kMaxAsid = 0xffff;  // satp.ASID has 16 bits
    return asid > kMaxAsid ? SbiError::kInvalidParam : SbiError::kSuccess;
}

// A fence of everything does for a fence of some addresses in some address space.
SbiAnswer sbi_rfence(SbiCall& call) {
    enum : uint32_t { kFenceI, kSfenceVma, kSfenceVmaAsid };
    uint32_t function = call.function();
    // The hypervisor extension's fences, 3 to 6, have no hart that could do them.
    if (function > kSfenceVmaAsid) return answer(SbiError::kNotSupported);
    auto harts = select_harts(call.services, call.argument(0), call.argument(1));
    if (!harts) return answer(SbiError::kInvalidParam);
    SbiError checked = SbiError::kSuccess;
    if (function != kFenceI) checked = check_fence_range(call.argument(2), call.argument(3));
    if (checked == SbiError::kSuccess && function == kSfenceVmaAsid) checked = check_fence_space(call.argument(4));
    if (checked != SbiError::kSuccess) return answer(checked);
    fence_harts(call, *harts, function == kFenceI ? Fence::kInstructions : Fence::kTranslations);
    return {};
}

}  // namespace doppel::machine::firmware
