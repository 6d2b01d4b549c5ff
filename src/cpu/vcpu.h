// The vCPU and its engines: architectural state in isa/, run by something that is replaceable while the guest runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cpu/debug.h"
#include "cpu/statistics.h"
#include "cpu/trace.h"
#include "device/bus.h"
#include "isa/riscv/hart.h"
#include "memory/guest_memory.h"

namespace doppel::cpu {

enum class ExitReason : uint8_t {
    kBudget,        // all of the budget is spent
    kWait,          // WFI: nothing to do until an interrupt is pending
    kFirmwareCall,  // an environment call for the host's firmware; hart.pc is at the ecall
    kAttention,     // request_exit was called
    kBreakpoint,    // hart.pc is at a breakpoint
    kWatchpoint,    // the instruction before hart.pc made the access of watch_hit()
    kFailed,        // the engine found itself in error and has told of it: the machine must not go on
};

// What a vCPU works on; all of it outlives the vCPU.
struct VcpuParts {
    isa::riscv::Hart& hart;
    memory::GuestMemory& memory;
    const device::Bus& bus;
    const isa::riscv::Environment& environment;
    Trace* trace = nullptr;  // null: nobody asks, and nothing is paid
};

// `run` belongs to the hart's thread, and so does the hart's state while it runs; the requests are thread-safe.
class Vcpu {
  public:
    virtual ~Vcpu() = default;

    // Executes at most `budget` instructions (an exception counts for none), takes interrupts between them, and returns
    // with hart.pc and hart.retired exact. The only exits before the budget is spent are those of ExitReason.
    virtual ExitReason run(uint64_t budget) = 0;

    // Adds what it has counted since it was made: `instructions` where it can count them, and what else it knows. Only
    // while neither `run` nor `step` is under way.
    virtual void add_statistics(Statistics&) const {}

    // ---- For a debugger. Without points none of it costs anything.

    // Where `run` stops: at a breakpoint before anything else happens at that pc, first instruction included. nullptr:
    // nowhere. Only while neither `run` nor `step` is under way.
    virtual void set_debug_points(std::shared_ptr<const DebugPoints> points) = 0;
    // Executes one instruction, whatever request_exit asked and though it be at a breakpoint; takes no interrupt. An
    // exception is taken, and is the step. kBudget, kWait, kFirmwareCall or kWatchpoint.
    virtual ExitReason step() = 0;
    // After kWatchpoint.
    virtual const WatchHit& watch_hit() const = 0;

    // After hart.lines or hart.pending changed: `run` looks at them soon.
    // Sequentially consistent, as fences_done() relies on the order of this store and its own load.
    void notify() { attention_.store(true); }
    // `run` returns kAttention soon, or at once when it is called next.
    void request_exit() { request(kExit); }
    // What other harts' fences ask for; done before the next guest instruction.
    void request_translation_fence() { request(kTranslationFence); }
    void request_instruction_fence() { request(kInstructionFence); }
    // Whether no requested fence is outstanding while guest code runs: then the requester may go on.
    bool fences_done() const {
        return (requests_.load() & (kTranslationFence | kInstructionFence)) == 0 || !executing_.load();
    }

  protected:
    static constexpr uint32_t kExit = 1, kTranslationFence = 2, kInstructionFence = 4;

    void request(uint32_t what) {
        requests_.fetch_or(what);
        notify();
    }
    // The requests so far, which the caller now serves.
    uint32_t take_requests() { return requests_.exchange(0); }

    std::atomic<bool> attention_{false};  // looked at between blocks
    std::atomic<bool> executing_{false};  // set before requests are looked at, so that no requester waits in vain

  private:
    std::atomic<uint32_t> requests_{0};
};

class Engine {
  public:
    virtual ~Engine() = default;
    virtual std::string_view name() const = 0;
    virtual std::unique_ptr<Vcpu> make_vcpu(const VcpuParts& parts) const = 0;
    // Adds what its vCPUs have counted together. Thread-safe.
    virtual void add_statistics(Statistics&) const {}
    // Starts threads that work for the vCPUs. A machine calls it when what threads inherit is settled; without them the
    // vCPUs do all themselves.
    virtual void start_threads() {}
};

}  // namespace doppel::cpu
