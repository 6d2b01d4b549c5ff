// What the SBI extensions share: a call, its answer, sets of harts. Internal to this folder.
// Source: RISC-V SBI Specification 2.0, chapter "Binary Encoding".
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "isa/riscv/hart.h"
#include "machine/firmware/firmware.h"

namespace doppel::machine::firmware {

enum class SbiError : int64_t {
    kSuccess = 0,
    kFailed = -1,
    kNotSupported = -2,
    kInvalidParam = -3,
    kDenied = -4,
    kInvalidAddress = -5,
    kAlreadyAvailable = -6,
    kDeniedLocked = -14,
};

inline constexpr unsigned kA0 = 10, kA1 = 11, kA6 = 16, kA7 = 17;

struct SbiCall {
    Services& services;
    isa::riscv::Hart& hart;
    unsigned caller;
    std::atomic<uint32_t>& features;  // the caller's, see sbi_fwft.cpp

    uint64_t argument(unsigned index) const { return hart.x[kA0 + index]; }
    // A parameter that the specification makes 32 bits wide; the upper half means nothing.
    uint32_t argument32(unsigned index) const { return static_cast<uint32_t>(argument(index)); }
    uint32_t function() const { return static_cast<uint32_t>(hart.x[kA6]); }
};

struct SbiAnswer {
    SbiError error = SbiError::kSuccess;
    uint64_t value = 0;
    Next next = Next::kContinue;
    bool placed = false;  // pc and registers are already where the hart goes on

    static SbiAnswer of(uint64_t value) { return {SbiError::kSuccess, value}; }
    static SbiAnswer placed_at_pc(Next next) { return {SbiError::kSuccess, 0, next, true}; }
};

// Error or success without a value.
inline SbiAnswer answer(SbiError error) {
    return {error};
}

// ---- Sets of harts: a bit for each hart id

uint64_t all_harts(const Services& services);
// "Hart list parameter". nullopt: it names a hart that does not exist (SBI_ERR_INVALID_PARAM).
std::optional<uint64_t> select_harts(const Services& services, uint64_t mask, uint64_t base);

// ---- What the extensions and their legacy forms do alike

void set_timer(isa::riscv::Hart& hart, uint64_t time);
void send_ipi(Services& services, uint64_t harts);

enum class Fence : uint8_t { kInstructions, kTranslations };
// Returns when all of `harts` have done it, or will before their next instruction.
void fence_harts(SbiCall& call, uint64_t harts, Fence fence);
// What a remote SFENCE.VMA needs of its range and address space; kSuccess, or what to answer.
SbiError check_fence_range(uint64_t start, uint64_t size);
SbiError check_fence_space(uint64_t asid);

// FWFT's features of a hart at reset, and which bits of a saved value mean something.
extern const uint32_t kFeaturesAtReset;
extern const uint32_t kFeaturesKnown;

// ---- The extensions' handlers

SbiAnswer sbi_base(SbiCall& call);
SbiAnswer sbi_time(SbiCall& call);
SbiAnswer sbi_ipi(SbiCall& call);
SbiAnswer sbi_rfence(SbiCall& call);
SbiAnswer sbi_hsm(SbiCall& call);
SbiAnswer sbi_srst(SbiCall& call);
SbiAnswer sbi_dbcn(SbiCall& call);
SbiAnswer sbi_fwft(SbiCall& call);

SbiAnswer sbi_legacy_set_timer(SbiCall& call);
SbiAnswer sbi_legacy_putchar(SbiCall& call);
SbiAnswer sbi_legacy_getchar(SbiCall& call);
SbiAnswer sbi_legacy_clear_ipi(SbiCall& call);
SbiAnswer sbi_legacy_send_ipi(SbiCall& call);
SbiAnswer sbi_legacy_fence_i(SbiCall& call);
SbiAnswer sbi_legacy_sfence_vma(SbiCall& call);
SbiAnswer sbi_legacy_sfence_vma_asid(SbiCall& call);
SbiAnswer sbi_legacy_shutdown(SbiCall& call);

}  // namespace doppel::machine::firmware
