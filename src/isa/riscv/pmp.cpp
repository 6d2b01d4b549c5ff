#include <bit>

#include "isa/riscv/mmu.h"

namespace doppel::isa::riscv {

namespace {

constexpr uint8_t kRead = 1, kWrite = 2, kExecute = 4, kMatchMask = 3 << 3, kLocked = 1 << 7;
constexpr uint8_t kOff = 0 << 3, kTor = 1 << 3, kNa4 = 2 << 3;
constexpr uint64_t kAddressMask = (uint64_t{1} << 54) - 1;
constexpr unsigned kConfigsPerRegister = 8;

// The bytes of an entry, `last` included; not active when it is off or empty.
struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
    bool active = false;
};

Range range_of(const ControlRegisters& csr, unsigned i) {
    uint64_t address = csr.pmpaddr[i];
    switch (csr.pmpcfg[i] & kMatchMask) {
        case kOff:
            return {};
        case kTor: {
            uint64_t start = i == 0 ? 0 : csr.pmpaddr[i - 1] << 2;
            uint64_t end = address << 2;
            if (end <= start) return {};
            return {start, end - 1, true};
        }
        case kNa4:
            return {address << 2, (address << 2) + 3, true};
        default: {
            unsigned ones = static_cast<unsigned>(std::countr_one(address));
            if (ones >= 54) return {0, ~uint64_t{0}, true};
            uint64_t size = uint64_t{8} << ones;
            uint64_t start = (address & ~((uint64_t{1} << ones) - 1)) << 2;
            return {start, start + size - 1, true};
        }
    }
}

bool locked(const ControlRegisters& csr, uint32_t entry) {
    return csr.pmpcfg[entry] & kLocked;
}

uint8_t legal_config(uint8_t value) {
    uint8_t config = value & (kRead | kWrite | kExecute | kMatchMask | kLocked);
    bool reserved = (config & (kRead | kWrite)) == kWrite;
    return reserved ? static_cast<uint8_t>(config & ~kWrite) : config;
}

}  // namespace

bool pmp_allows(const Hart& hart, uint64_t physical, uint64_t bytes, Access access, Privilege privilege) {
    uint64_t last = physical + bytes - 1;
    for (unsigned i = 0; i < kPmpEntries; i++) {
        if ((hart.csr.pmpcfg[i] & kMatchMask) == kOff) continue;
        Range range = range_of(hart.csr, i);
        if (!range.active || last < range.first || physical > range.last) continue;
        // The lowest-numbered entry that matches any byte decides, and must match them all.
        if (physical < range.first || last > range.last) return false;
        if (privilege == Privilege::kMachine && !locked(hart.csr, i)) return true;
        uint8_t needed = access == Access::kFetch ? kExecute : access == Access::kLoad ? kRead : kWrite;
        return hart.csr.pmpcfg[i] & needed;
    }
    return privilege == Privilege::kMachine;
}

bool pmp_uniform(const Hart& hart, uint64_t page) {
    uint64_t last = page + kPageBytes - 1;
    for (unsigned i = 0; i < kPmpEntries; i++) {
        Range range = range_of(hart.csr, i);
        if (!range.active) continue;
        bool starts_inside = range.first > page && range.first <= last;
        bool ends_inside = range.last >= page && range.last < last;
        if (starts_inside || ends_inside) return false;
    }
    return true;
}

uint64_t pmp_config(const Hart& hart, uint32_t index) {
    uint32_t first = index * 4;
    uint64_t value = 0;
    for (unsigned i = 0; i < kConfigsPerRegister && first + i < kPmpEntries; i++) {
        value |= uint64_t{hart.csr.pmpcfg[first + i]} << (8 * i);
    }
    return value;
}

void pmp_write_config(Hart& hart, uint32_t index, uint64_t value) {
    hart.translation_version++;
    uint32_t first = index * 4;
    for (unsigned i = 0; i < kConfigsPerRegister && first + i < kPmpEntries; i++) {
        if (locked(hart.csr, first + i)) continue;
        hart.csr.pmpcfg[first + i] = legal_config(static_cast<uint8_t>(value >> (8 * i)));
    }
}

void pmp_write_address(Hart& hart, uint32_t index, uint64_t value) {
    if (index >= kPmpEntries || locked(hart.csr, index)) return;
    // The start of a locked top-of-range entry is locked with it.
    bool next_is_locked_tor =
        index + 1 < kPmpEntries && locked(hart.csr, index + 1) && (hart.csr.pmpcfg[index + 1] & kMatchMask) == kTor;
    if (next_is_locked_tor) return;
    hart.csr.pmpaddr[index] = value & kAddressMask;
    hart.translation_version++;
}

void pmp_make_legal(ControlRegisters& csr) {
    for (uint8_t& config : csr.pmpcfg) config = legal_config(config);
    for (uint64_t& address : csr.pmpaddr) address &= kAddressMask;
}

}  // namespace doppel::isa::riscv
