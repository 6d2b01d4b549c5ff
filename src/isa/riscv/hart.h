// The architectural state of one riscv64 hart, independent of the engine that runs it.
// Source: RISC-V Instruction Set Manual, volume II (privileged architecture), chapters "Machine-Level ISA" and
// "Supervisor-Level ISA".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "isa/riscv/interrupt_file.h"
#include "isa/riscv/vector_state.h"

namespace doppel {
class StateReader;
}

namespace doppel::isa::riscv {

enum class Privilege : uint8_t { kUser = 0, kSupervisor = 1, kMachine = 3 };

// mcause / scause values.
namespace cause {
inline constexpr uint64_t kInterrupt = uint64_t{1} << 63;
inline constexpr uint64_t kFetchMisaligned = 0;
inline constexpr uint64_t kFetchAccess = 1;
inline constexpr uint64_t kIllegalInstruction = 2;
inline constexpr uint64_t kBreakpoint = 3;
inline constexpr uint64_t kLoadMisaligned = 4;
inline constexpr uint64_t kLoadAccess = 5;
inline constexpr uint64_t kStoreMisaligned = 6;
inline constexpr uint64_t kStoreAccess = 7;
inline constexpr uint64_t kEcallUser = 8;
inline constexpr uint64_t kEcallSupervisor = 9;
inline constexpr uint64_t kEcallMachine = 11;
inline constexpr uint64_t kFetchPage = 12;
inline constexpr uint64_t kLoadPage = 13;
inline constexpr uint64_t kStorePage = 15;
}  // namespace cause

// Interrupt numbers: bit positions in mip / mie / mideleg.
namespace irq {
inline constexpr unsigned kSupervisorSoftware = 1;
inline constexpr unsigned kMachineSoftware = 3;
inline constexpr unsigned kSupervisorTimer = 5;
inline constexpr unsigned kMachineTimer = 7;
inline constexpr unsigned kSupervisorExternal = 9;
inline constexpr unsigned kMachineExternal = 11;
constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}
inline constexpr uint64_t kSupervisorAll = bit(kSupervisorSoftware) | bit(kSupervisorTimer) | bit(kSupervisorExternal);
inline constexpr uint64_t kMachineAll = bit(kMachineSoftware) | bit(kMachineTimer) | bit(kMachineExternal);
}  // namespace irq

namespace mstatus {
inline constexpr uint64_t kSie = 1 << 1, kMie = 1 << 3, kSpie = 1 << 5, kMpie = 1 << 7, kSpp = 1 << 8;
inline constexpr uint64_t kVs = 3 << 9, kMpp = 3 << 11, kFs = 3 << 13, kMprv = 1 << 17, kSum = 1 << 18, kMxr = 1 << 19;
inline constexpr uint64_t kTvm = 1 << 20, kTw = 1 << 21, kTsr = 1 << 22;
inline constexpr uint64_t kUxl64 = uint64_t{2} << 32, kSxl64 = uint64_t{2} << 34, kSd = uint64_t{1} << 63;
inline constexpr unsigned kMppShift = 11;
}  // namespace mstatus

// menvcfg and senvcfg.
namespace envcfg {
inline constexpr uint64_t kFiom = 1, kCbie = 3 << 4, kCbcfe = 1 << 6, kCbze = 1 << 7;
inline constexpr uint64_t kAdue = uint64_t{1} << 61, kPbmte = uint64_t{1} << 62, kStce = uint64_t{1} << 63;
inline constexpr uint64_t kMachineMask = kFiom | kCbie | kCbcfe | kCbze | kAdue | kPbmte | kStce;
inline constexpr uint64_t kSupervisorMask = kFiom | kCbie | kCbcfe | kCbze;
}  // namespace envcfg

// The entropy source's enables for S-mode and U-mode (Zkr).
namespace mseccfg {
inline constexpr uint64_t kUseed = 1 << 8, kSseed = 1 << 9;
inline constexpr uint64_t kMask = kUseed | kSseed;
}  // namespace mseccfg

inline constexpr unsigned kPmpEntries = 16;
inline constexpr unsigned kCacheBlockBytes = 64;  // Zicbom, Zicboz
inline constexpr uint64_t kPageBytes = 4096;

struct ControlRegisters {
    uint64_t mstatus = mstatus::kUxl64 | mstatus::kSxl64;
    uint64_t medeleg = 0, mideleg = 0, mie = 0, mtvec = 0, mcounteren = 0, mcountinhibit = 0;
    uint64_t mscratch = 0, mepc = 0, mcause = 0, mtval = 0, menvcfg = 0;
    uint64_t stvec = 0, scounteren = 0, senvcfg = 0, sscratch = 0, sepc = 0, scause = 0, stval = 0;
    uint64_t satp = 0, stimecmp = ~uint64_t{0};
    uint64_t miselect = 0, siselect = 0;
    // A running counter shows `retired` plus its offset, an inhibited one its value.
    uint64_t mcycle = 0, minstret = 0;
    // Open to S-mode from reset, whose value the specification leaves to the implementation: kernels that find Zkr in
    // the device tree use `seed` although older firmware (OpenSBI before 1.4) does not know of it.
    uint64_t mseccfg = mseccfg::kSseed;
    uint8_t fflags = 0, frm = 0;
    std::array<uint8_t, kPmpEntries> pmpcfg{};
    std::array<uint64_t, kPmpEntries> pmpaddr{};

    template <class V>
    void fields(V& v) {
        v.field(1, mstatus), v.field(2, medeleg), v.field(3, mideleg), v.field(4, mie), v.field(5, mtvec);
        v.field(6, mcounteren), v.field(7, mcountinhibit), v.field(8, mscratch), v.field(9, mepc), v.field(10, mcause);
        v.field(11, mtval), v.field(12, menvcfg), v.field(13, stvec), v.field(14, scounteren), v.field(15, senvcfg);
        v.field(16, sscratch), v.field(17, sepc), v.field(18, scause), v.field(19, stval), v.field(20, satp);
        v.field(21, stimecmp), v.field(22, mcycle), v.field(23, minstret), v.field(24, fflags), v.field(25, frm);
        v.field(30, mseccfg);
        v.field(26, pmpcfg), v.field(27, pmpaddr), v.field(28, miselect), v.field(29, siselect);
    }
};

// The LR/SC reservation: SC stores by compare-and-swap against the value that LR saw. Traps end it, so that the virtual
// address names one place; so do save and restore (an SC may fail for no reason).
struct Reservation {
    uint64_t address = 0;  // virtual
    uint64_t value = 0;
    uint8_t bytes = 0;  // 4 or 8; 0: none
};

// The hart's IMSIC, which outlives it: both files, and then the hart has Smaia and Ssaia, or none.
struct InterruptFiles {
    InterruptFile* machine = nullptr;
    InterruptFile* supervisor = nullptr;
};

// Owned by the hart's thread, except `lines` and `pending`, which any thread may change.
struct Hart {
    // x[0] stays 0; engines may direct writes to x0 to x[32], whose value means nothing.
    std::array<uint64_t, 33> x{};
    std::array<uint64_t, 32> f{};  // NaN-boxed
    uint64_t pc = 0;
    Privilege privilege = Privilege::kMachine;
    ControlRegisters csr;
    Reservation reservation;
    uint64_t retired =
        0;  // instructions retired since reset; an engine brings it up to date before it leaves or calls a helper

    // Changes whenever cached translations became void for a reason that no fence announces: PMP or menvcfg was
    // written.
    uint32_t translation_version = 0;

    uint32_t id = 0;
    // Supervisor environment calls leave the engine (the host is the firmware) instead of trapping to M-mode.
    bool host_firmware = false;

    InterruptFiles interrupt_files;  // saved by their owner

    std::atomic<uint64_t> lines{0};    // mip bits that controllers drive: MSIP, MTIP, MEIP, SEIP
    std::atomic<uint64_t> pending{0};  // mip bits that software sets and clears: SSIP, STIP, SEIP

    VectorState vector;  // mstatus.VS stays 0 without registers

    // An engine's own, at a fixed distance from the registers; means nothing between two calls of its `run`.
    alignas(16) std::array<uint64_t, 128> engine_state{};

    bool float_enabled() const { return (csr.mstatus & mstatus::kFs) != 0; }

    template <class V>
    void fields(V& v) {
        uint64_t line_bits = lines.load(), pending_bits = pending.load();
        v.field(1, x), v.field(2, f), v.field(3, pc), v.field(4, privilege), v.section(5, csr);
        v.field(6, retired), v.field(7, id), v.field(8, host_firmware), v.field(9, line_bits),
            v.field(10, pending_bits), v.section(11, vector);
        lines.store(line_bits), pending.store(pending_bits);
        make_legal();
    }

    // Brings every field to a value that it can have (saved states are untrusted), ends the reservation, and voids
    // cached translations. A state that the hart itself produced is not changed otherwise.
    void make_legal();
};

// Takes all of a saved state (Hart::fields), or leaves the hart as it was: an error when the state is damaged or its
// vector registers have another size than the hart's.
Result<> restore(Hart& hart, StateReader& reader);

// What the hart's surroundings answer while it executes.
class Environment {
  public:
    virtual ~Environment() = default;
    virtual uint64_t time() const = 0;  // the `time` CSR: ticks of the platform's timebase
    // The `seed` CSR: fresh random bits, of full entropy; nullopt when there are none and will be none (Zkr's DEAD).
    virtual std::optional<uint16_t> entropy() const = 0;
};

}  // namespace doppel::isa::riscv
