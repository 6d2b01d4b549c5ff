// Chapter "Base Extension".
#include "machine/firmware/sbi.h"
#include "machine/firmware/sbi_extensions.h"

namespace doppel::machine::firmware {

SbiAnswer sbi_base(SbiCall& call) {
    switch (call.function()) {
        case 0:
            return SbiAnswer::of(kSbiVersion);
        case 1:
            return SbiAnswer::of(kSbiImplementationId);
        case 2:
            return SbiAnswer::of(kSbiImplementationVersion);
        case 3:
            return SbiAnswer::of(find_sbi_extension(call.argument32(0)) != nullptr ? 1 : 0);
        // mvendorid, marchid, mimpid: 0 is "not implemented", as the CSRs say.
        case 4:
        case 5:
        case 6:
            return SbiAnswer::of(0);
        default:
            return answer(SbiError::kNotSupported);
    }
}

}  // namespace doppel::machine::firmware
