#include <algorithm>

#include "machine/firmware/sbi.h"
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

uint64_t all_harts(const Services& services) {
    unsigned count = std::min(services.hart_count(), kMaxSbiHarts);
    return count == kMaxSbiHarts ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

std::optional<uint64_t> select_harts(const Services& services, uint64_t mask, uint64_t base) {
    uint64_t all = all_harts(services);
    if (base == ~uint64_t{0}) return all;
    // The base itself need not exist.
    if (mask == 0) return 0;
    if (base >= kMaxSbiHarts) return std::nullopt;
    uint64_t harts = mask << base;
    bool all_representable = harts >> base == mask;
    if (!all_representable || (harts & ~all) != 0) return std::nullopt;
    return harts;
}

}  // namespace doppel::machine::firmware
