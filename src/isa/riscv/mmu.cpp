#include "isa/riscv/mmu.h"

#include <optional>

namespace doppel::isa::riscv {

namespace {

namespace pte {
constexpr uint64_t kValid = 1, kRead = 2, kWrite = 4, kExecute = 8, kUser = 16, kGlobal = 32, kAccessed = 64,
                   kDirty = 128;
constexpr uint64_t kReserved = uint64_t{0x7f} << 54;
constexpr uint64_t kPbmt = uint64_t{3} << 61;
constexpr uint64_t kNapot = uint64_t{1} << 63;
constexpr uint64_t kPpnMask = ((uint64_t{1} << 44) - 1) << 10;
}  // namespace pte

constexpr unsigned kPteBytes = 8;
constexpr unsigned kIndexBits = 9;
constexpr uint64_t kNapot64K = 8;  // the only NAPOT encoding: ppn[3:0] = 1000

unsigned levels_of(uint64_t satp) {
    switch (satp >> 60) {
        case 8:
            return 3;
        case 9:
            return 4;
        case 10:
            return 5;
        default:
            return 0;
    }
}

bool canonical(uint64_t address, unsigned levels) {
    unsigned width = 12 + kIndexBits * levels;
    return static_cast<uint64_t>(static_cast<int64_t>(address << (64 - width)) >> (64 - width)) == address;
}

bool leaf_permits(uint64_t entry, Access access, AccessMode mode) {
    if (entry & pte::kUser) {
        if (mode.privilege == Privilege::kSupervisor && (access == Access::kFetch || !mode.sum)) return false;
    } else if (mode.privilege == Privilege::kUser) {
        return false;
    }
    switch (access) {
        case Access::kFetch:
            return entry & pte::kExecute;
        case Access::kLoad:
            return (entry & pte::kRead) || (mode.mxr && (entry & pte::kExecute));
        case Access::kStore:
            return entry & pte::kWrite;
    }
    return false;
}

// Bits that must be clear, or must fit together, in any valid entry.
bool well_formed(uint64_t entry, const Hart& hart) {
    if (!(entry & pte::kValid) || (entry & (pte::kRead | pte::kWrite)) == pte::kWrite || (entry & pte::kReserved))
        return false;
    uint64_t pbmt = entry & pte::kPbmt;
    if (pbmt == 0) return true;
    return pbmt != pte::kPbmt && (hart.csr.menvcfg & envcfg::kPbmte);
}

enum class Step { kDone, kAgain, kFault };

struct Walk {
    const Hart& hart;
    memory::GuestMemory& memory;
    uint64_t address;
    Access access;
    AccessMode mode;
    bool only_looks = false;  // for a debugger
    bool global = false;      // an entry so far was: all below it is, too

    // nullopt: another hart changed an entry under the walk; walk anew.
    std::optional<Translation> run(unsigned levels) {
        uint64_t table = (hart.csr.satp & ((uint64_t{1} << 44) - 1)) << 12;
        for (unsigned level = levels; level-- > 0;) {
            uint64_t slot = table + ((address >> (12 + kIndexBits * level)) & 0x1ff) * kPteBytes;
            if (!only_looks && !pmp_allows(hart, slot, kPteBytes, Access::kLoad, Privilege::kSupervisor)) {
                return Translation::fault(access_fault(access));
            }
            auto entry = memory.load<uint64_t>(slot);
            if (!entry) return Translation::fault(access_fault(access));
            if (!well_formed(*entry, hart)) return Translation::fault(page_fault(access));
            global = global || (*entry & pte::kGlobal) != 0;
            if (*entry & (pte::kRead | pte::kExecute)) return leaf(slot, *entry, level);
            constexpr uint64_t kLeafOnly = pte::kAccessed | pte::kDirty | pte::kUser | pte::kPbmt | pte::kNapot;
            if (*entry & kLeafOnly) return Translation::fault(page_fault(access));
            table = ((*entry & pte::kPpnMask) >> 10) << 12;
        }
        return Translation::fault(page_fault(access));
    }

    std::optional<Translation> leaf(uint64_t slot, uint64_t entry, unsigned level) {
        uint64_t ppn = (entry & pte::kPpnMask) >> 10;
        uint64_t low_pages = (uint64_t{1} << (kIndexBits * level)) - 1;
        if (ppn & low_pages) return Translation::fault(page_fault(access));
        if (entry & pte::kNapot) {
            if (level != 0 || (ppn & 15) != kNapot64K) return Translation::fault(page_fault(access));
            low_pages = 15;
            ppn &= ~low_pages;
        }
        if (!only_looks && !leaf_permits(entry, access, mode)) return Translation::fault(page_fault(access));
        uint64_t wanted = entry | pte::kAccessed | (access == Access::kStore ? pte::kDirty : 0);
        if (wanted != entry && !only_looks) {
            switch (update(slot, entry, wanted)) {
                case Step::kDone:
                    break;
                case Step::kAgain:
                    return std::nullopt;
                case Step::kFault:
                    return Translation::fault(hart.csr.menvcfg & envcfg::kAdue ? access_fault(access)
                                                                               : page_fault(access));
            }
        }
        uint64_t page = ppn | ((address >> 12) & low_pages);
        return Translation{true, page << 12 | (address & (kPageBytes - 1)), 0, (low_pages + 1) * kPageBytes, global};
    }

    Step update(uint64_t slot, uint64_t entry, uint64_t wanted) {
        if (!(hart.csr.menvcfg & envcfg::kAdue)) return Step::kFault;
        if (!pmp_allows(hart, slot, kPteBytes, Access::kStore, Privilege::kSupervisor)) return Step::kFault;
        const memory::Region* region = memory.find(slot, kPteBytes);
        if (region == nullptr || !region->writable) return Step::kFault;
        auto* host = reinterpret_cast<uint64_t*>(region->host + (slot - region->base));
        bool swapped = __atomic_compare_exchange_n(host, &entry, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        if (!swapped) return Step::kAgain;
        memory::GuestMemory::mark_dirty(*region, slot, kPteBytes);
        return Step::kDone;
    }
};

}  // namespace

AccessMode fetch_mode(const Hart& hart) {
    return {hart.privilege, false, false};
}

AccessMode data_mode(const Hart& hart) {
    Privilege privilege = hart.privilege;
    if (hart.csr.mstatus & mstatus::kMprv) {
        privilege = static_cast<Privilege>((hart.csr.mstatus & mstatus::kMpp) >> mstatus::kMppShift);
    }
    return {privilege, (hart.csr.mstatus & mstatus::kSum) != 0, (hart.csr.mstatus & mstatus::kMxr) != 0};
}

uint64_t access_fault(Access access) {
    return access == Access::kFetch  ? cause::kFetchAccess
           : access == Access::kLoad ? cause::kLoadAccess
                                     : cause::kStoreAccess;
}

uint64_t page_fault(Access access) {
    return access == Access::kFetch  ? cause::kFetchPage
           : access == Access::kLoad ? cause::kLoadPage
                                     : cause::kStorePage;
}

std::optional<uint64_t> find_physical(const Hart& hart, memory::GuestMemory& memory, uint64_t address) {
    unsigned levels = hart.privilege == Privilege::kMachine ? 0 : levels_of(hart.csr.satp);
    if (levels == 0) return address;
    if (!canonical(address, levels)) return std::nullopt;
    auto walked = Walk{hart, memory, address, Access::kLoad, fetch_mode(hart), true}.run(levels);
    return walked && walked->ok ? std::optional(walked->physical) : std::nullopt;
}

Translation translate(const Hart& hart, memory::GuestMemory& memory, uint64_t address, unsigned bytes, Access access,
                      AccessMode mode) {
    unsigned levels = mode.privilege == Privilege::kMachine ? 0 : levels_of(hart.csr.satp);
    Translation result{true, address, 0};
    if (levels != 0) {
        if (!canonical(address, levels)) return Translation::fault(page_fault(access));
        std::optional<Translation> walked;
        while (!walked) walked = Walk{hart, memory, address, access, mode}.run(levels);
        if (!walked->ok) return *walked;
        result = *walked;
    }
    if (!pmp_allows(hart, result.physical, bytes, access, mode.privilege))
        return Translation::fault(access_fault(access));
    return result;
}

}  // namespace doppel::isa::riscv
