// Chapter "IPI Extension".
#include <bit>

#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

void send_ipi(Services& services, uint64_t harts) {
    for (; harts != 0; harts &= harts - 1) {
        services.raise_software_interrupt(static_cast<unsigned>(std::countr_zero(harts)));
    }
}

SbiAnswer sbi_ipi(SbiCall& call) {
    if (call.function() != 0) return answer(SbiError::kNotSupported);
    auto harts = select_harts(call.services, call.argument(0), call.argument(1));
    if (!harts) return answer(SbiError::kInvalidParam);
    send_ipi(call.services, *harts);
    return {};
}

}  // namespace doppel::machine::firmware
