// The host as the machine's firmware: what answers the guest's environment calls without a guest M-mode (the
// paravirtual way).
//
// Engine-neutral: a vCPU's run() exits with kFirmwareCall, hart.pc at the ecall; the hart's thread then calls
// Firmware::call, which reads and writes the architectural state. Later firmware interfaces (PSCI, hypercalls) stand
// beside Sbi.
#pragma once

#include <cstdint>
#include <span>

#include "cpu/vcpu.h"
#include "isa/riscv/hart.h"
#include "memory/guest_memory.h"

namespace doppel::machine::firmware {

// The states of SBI's HSM extension (chapter 9), in its encoding.
enum class HartState : uint8_t {
    kStarted = 0,
    kStopped = 1,
    kStartPending = 2,
    kStopPending = 3,
    kSuspended = 4,
    kSuspendPending = 5,
    kResumePending = 6,
};

enum class SystemReset : uint8_t { kShutdown, kReboot };

// What the machine offers to firmware. Called on the hart's thread that made the call; everything is thread-safe.
class Services {
  public:
    virtual ~Services() = default;
    virtual unsigned hart_count() const = 0;  // hart ids are 0 to hart_count() - 1
    virtual cpu::Vcpu& vcpu(unsigned hart) = 0;
    virtual memory::GuestMemory& memory() = 0;
    virtual uint64_t time() const = 0;  // ticks of the timebase

    // Sets SSIP of another hart (or of the caller) and wakes it.
    virtual void raise_software_interrupt(unsigned hart) = 0;

    virtual HartState hart_state(unsigned hart) const = 0;
    // Starts a stopped hart in S-mode at `pc` with a0 = hart id, a1 = opaque, satp = 0, interrupts off. False: it was
    // not stopped.
    virtual bool start_hart(unsigned hart, uint64_t pc, uint64_t opaque) = 0;

    // Waits until the fences that were requested of `harts` (a bit each) are done. The caller's own are done before its
    // next instruction.
    virtual void wait_for_fences(unsigned caller, uint64_t harts) = 0;

    // The debug console. `console_write` does not lose bytes; `console_read` returns how many there were, without
    // waiting.
    virtual void console_write(std::span<const uint8_t> bytes) = 0;
    virtual size_t console_read(std::span<uint8_t> bytes) = 0;

    // Asks for the end of this run of the machine; the calling hart then stops. `failed`: the guest says that it
    // crashed.
    virtual void reset_system(SystemReset kind, bool failed) = 0;
};

// What the calling hart does next.
enum class Next : uint8_t {
    kContinue,  // run on at hart.pc
    kStop,      // the hart stops until start_hart
    kSuspend,   // wait for an interrupt that is enabled in mie, then run on at hart.pc (SBI retentive suspend, or after
                // the firmware has set up the resume address for a non-retentive one)
};

class Firmware {
  public:
    virtual ~Firmware() = default;
    // Brings a hart into the state that this firmware hands over in (privilege, delegation, enables), pc and arguments
    // aside. Also used by start_hart.
    virtual void prepare(isa::riscv::Hart& hart) const = 0;
    // Answers the call of `caller`; hart.pc is left where the hart goes on.
    virtual Next call(unsigned caller, isa::riscv::Hart& hart) = 0;
};

}  // namespace doppel::machine::firmware
