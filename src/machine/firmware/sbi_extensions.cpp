#include "machine/firmware/sbi_extensions.h"

#include <algorithm>

namespace doppel::machine::firmware {

namespace {

constexpr SbiExtension kExtensions[] = {
    {0x10, "BASE", sbi_base, false},
    {0x54494d45, "TIME", sbi_time, false},
    {0x735049, "IPI", sbi_ipi, false},
    {0x52464e43, "RFENCE", sbi_rfence, false},
    {0x48534d, "HSM", sbi_hsm, false},
    {0x53525354, "SRST", sbi_srst, false},
    {0x4442434e, "DBCN", sbi_dbcn, false},
    {0x46574654, "FWFT", sbi_fwft, false},
    {0x00, "legacy set timer", sbi_legacy_set_timer, true},
    {0x01, "legacy console putchar", sbi_legacy_putchar, true},
    {0x02, "legacy console getchar", sbi_legacy_getchar, true},
    {0x03, "legacy clear IPI", sbi_legacy_clear_ipi, true},
    {0x04, "legacy send IPI", sbi_legacy_send_ipi, true},
    {0x05, "legacy remote FENCE.I", sbi_legacy_fence_i, true},
    {0x06, "legacy remote SFENCE.VMA", sbi_legacy_sfence_vma, true},
    {0x07, "legacy remote SFENCE.VMA with ASID", sbi_legacy_sfence_vma_asid, true},
    {0x08, "legacy shutdown", sbi_legacy_shutdown, true},
};

}  // namespace

std::span<const SbiExtension> sbi_extensions() {
    return kExtensions;
}

const SbiExtension* find_sbi_extension(uint32_t id) {
    const auto* found = std::ranges::find(kExtensions, id, &SbiExtension::id);
    return found == std::end(kExtensions) ? nullptr : found;
}

}  // namespace doppel::machine::firmware
