// Control and status registers: one table of them, with what reading and writing each means.
// Source: RISC-V privileged manual, chapters 2 to 12; Zicntr, Sstc, Svadu, Svpbmt, Zicbom and Zicboz for their enables.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "isa/riscv/hart.h"

namespace doppel::isa::riscv {

namespace csr_number {
inline constexpr uint32_t kFflags = 0x001, kFrm = 0x002, kFcsr = 0x003;
inline constexpr uint32_t kVstart = 0x008, kVcsr = 0x00f, kVl = 0xc20, kVlenb = 0xc22;
inline constexpr uint32_t kSatp = 0x180, kStimecmp = 0x14d, kSip = 0x144, kMip = 0x344, kMvip = 0x309;
inline constexpr uint32_t kSireg = 0x151, kStopei = 0x15c, kMireg = 0x351, kMtopei = 0x35c;
inline constexpr uint32_t kSeed = 0x015, kMseccfg = 0x747;
inline constexpr uint32_t kPmpcfg0 = 0x3a0, kPmpaddr0 = 0x3b0;
}  // namespace csr_number

// "mstatus"; empty for a number that names no register here.
std::string_view csr_name(uint32_t number);

// nullopt: the access is an illegal instruction (no such register, privilege, a counter or extension not enabled).
std::optional<uint64_t> csr_read(Hart& hart, const Environment& environment, uint32_t number);
// False: illegal, nothing changed. Fields take what they can (WARL).
[[nodiscard]] bool csr_write(Hart& hart, uint32_t number, uint64_t value);
// Writes the bits in `mask` of mip, mvip or sip in one step: controllers and other harts change other bits meanwhile.
// False as for csr_write.
[[nodiscard]] bool csr_write_interrupts(Hart& hart, uint32_t number, uint64_t value, uint64_t mask);
// Whether the register may be written at all in the present privilege (checked before a read-modify-write).
bool csr_writable(const Hart& hart, uint32_t number);

// mip as seen: lines, software bits, and the Sstc comparison.
uint64_t interrupts_pending(const Hart& hart, const Environment& environment);
// The first of `interrupts` (bits of mip) by priority (privileged manual, "Interrupt priority"), or nullopt.
std::optional<unsigned> highest_priority(uint64_t interrupts);
// The interrupt that must be taken now, or nullopt.
std::optional<unsigned> interrupt_to_take(const Hart& hart, uint64_t pending);

}  // namespace doppel::isa::riscv
