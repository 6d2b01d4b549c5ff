// The RISC-V Supervisor Binary Interface, answered by the host.
//
// Source: RISC-V Supervisor Binary Interface Specification 2.0: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN and the legacy
// extensions; FWFT as version 3.0 defines it, for guests that probe for it. Everything that a guest passes is checked;
// a call costs O(harts) at most, and a bounded number of bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "machine/firmware/firmware.h"

namespace doppel::machine::firmware {

inline constexpr unsigned kMaxSbiHarts = 64;  // Services names sets of harts by a bit each

inline constexpr uint64_t kSbiVersion = 2 << 24;  // 2.0: major in bits 30:24, minor in 23:0
// "dopp" in ASCII: far from the registered numbers (chapter "Base Extension", table "SBI Implementation IDs"), which
// are given out from 0 upwards.
inline constexpr uint64_t kSbiImplementationId = 0x646f'7070;
// Counts changes of behaviour that a guest could want to know of.
inline constexpr uint64_t kSbiImplementationVersion = 1;

// `call` and `prepare` of different harts may run at once; those of one hart may not. `services` outlives it and has 1
// to kMaxSbiHarts harts.
//
// Two things that a device tree has to fit: A and D bits are updated by hardware from the start (Svadu without Svade;
// FWFT says 1), and misaligned loads and stores never trap.
class Sbi final : public Firmware {
  public:
    explicit Sbi(Services& services);

    // S-mode with the MMU off, every delegable trap delegated, all of memory open, counters readable, Sstc, Svpbmt,
    // Svadu and the cache-block operations enabled; all other CSRs and FWFT's features as at reset. x, f, pc and
    // `lines` stay. Needs the hart to stand still.
    void prepare(isa::riscv::Hart& hart) const override;
    Next call(unsigned caller, isa::riscv::Hart& hart) override;

    // The state that is in no hart: FWFT's. Only while no hart runs.
    template <class V>
    void fields(V& v) {
        std::array<uint32_t, kMaxSbiHarts> features;
        for (unsigned i = 0; i < kMaxSbiHarts; i++) features[i] = features_[i].load();
        v.field(1, features);
        for (unsigned i = 0; i < kMaxSbiHarts; i++) restore_features(i, features[i]);
    }

  private:
    void restore_features(unsigned hart, uint32_t features);

    Services& services_;
    // By hart. Mutable: to prepare a hart is to reset its features. Atomic: any thread may prepare a stopped hart.
    mutable std::array<std::atomic<uint32_t>, kMaxSbiHarts> features_;
};

}  // namespace doppel::machine::firmware
