// Address translation (Sv39, Sv48, Sv57 with Svadu, Svnapot, Svpbmt) and physical memory protection.
// Source: RISC-V privileged manual, "Supervisor-Level ISA" (virtual memory) and "Physical Memory Protection".
#pragma once

#include <cstdint>
#include <optional>

#include "isa/riscv/hart.h"
#include "memory/guest_memory.h"

namespace doppel::isa::riscv {

enum class Access : uint8_t { kFetch, kLoad, kStore };

// What decides an access besides the page tables.
struct AccessMode {
    Privilege privilege;  // effective: MPRV applied
    bool sum = false;     // supervisor may reach user pages
    bool mxr = false;     // executable pages may be read

    bool operator==(const AccessMode&) const = default;
};

// The mode of the hart's next fetches and of its next loads and stores.
AccessMode fetch_mode(const Hart& hart);
AccessMode data_mode(const Hart& hart);

struct Translation {
    bool ok;
    uint64_t physical = 0;       // when ok
    uint64_t cause = 0;          // else: a page fault or an access fault of the access's kind
    uint64_t span = kPageBytes;  // bytes of the page that maps it: larger for superpages and NAPOT ranges
    bool global = false;         // mapped so in all address spaces (G)

    static Translation fault(uint64_t cause) { return {false, 0, cause}; }
};

// Translates one virtual address for an access of `bytes` that does not cross a page; sets A and D in the page tables
// as Svadu says; checks PMP on the tables and on the result.
Translation translate(const Hart& hart, memory::GuestMemory& memory, uint64_t address, unsigned bytes, Access access,
                      AccessMode mode);

// Where `address` is in the hart's present address space, for a debugger: whatever the access would need, protection
// included, and without a trace in the page tables. nullopt: nowhere.
std::optional<uint64_t> find_physical(const Hart& hart, memory::GuestMemory& memory, uint64_t address);

uint64_t access_fault(Access access);
uint64_t page_fault(Access access);

bool pmp_allows(const Hart& hart, uint64_t physical, uint64_t bytes, Access access, Privilege privilege);
// Whether one answer holds for all of the page: no PMP boundary lies inside.
bool pmp_uniform(const Hart& hart, uint64_t page);

uint64_t pmp_config(const Hart& hart, uint32_t index);  // pmpcfg<index>, index even
void pmp_write_config(Hart& hart, uint32_t index, uint64_t value);
void pmp_write_address(Hart& hart, uint32_t index, uint64_t value);
void pmp_make_legal(ControlRegisters& csr);  // after the registers came from elsewhere

}  // namespace doppel::isa::riscv
