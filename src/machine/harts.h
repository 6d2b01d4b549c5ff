// The machine's harts: a host thread each, their interrupt inputs, and what the firmware asks of them.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cpu/vcpu.h"
#include "device/interrupt.h"
#include "device/timebase.h"
#include "isa/riscv/hart.h"
#include "machine/firmware/firmware.h"
#include "machine/trace/traces.h"

namespace doppel::machine {

// What the harts need of the machine around them. Called on hart threads; thread-safe.
struct HartSurroundings {
    memory::GuestMemory& memory;
    const device::Bus& bus;
    device::Timebase& timebase;
    std::function<void(std::span<const uint8_t>)> console_write;
    std::function<size_t(std::span<uint8_t>)> console_read;
    std::function<void(firmware::SystemReset, bool failed)> reset_system;
    // Looked at between runs of a vCPU, with their budget in instructions; null: nothing to look at.
    std::function<void()> poll;
    uint64_t poll_budget = uint64_t{1} << 22;
    // After Harts has noted a stop for a debugger.
    std::function<void()> debug_stop;
    trace::Traces* traces = nullptr;  // null: nothing is traced
    // First of all on each hart's thread.
    std::function<void(unsigned hart)> thread_begins;
};

// What a hart does while a debugger has the machine.
enum class HartMotion : uint8_t { kRun, kStay, kStep };

// That a hart stopped by itself.
struct HartStop {
    unsigned hart;
    cpu::ExitReason reason;  // kBreakpoint, kWatchpoint, or another: a step is done
    cpu::WatchHit hit;       // of a watchpoint
};

// How harts begin: with the host's firmware hart 0 alone starts, in S-mode; otherwise all start in M-mode at `entry`.
struct HartStart {
    uint64_t entry;
    uint64_t device_tree;  // a1; a0 is the hart id
    bool host_firmware;
};

// Created, started and stopped by one thread, the machine's. Locks: each hart's `lock` is taken last, one at a time.
class Harts final : private firmware::Services {
  public:
    Harts(unsigned count, const cpu::Engine& engine, HartSurroundings surroundings);
    ~Harts() override;  // stops

    // The harts' threads, called "hart 0" and so on, which wait for `start` until the object goes: a confined process
    // can make none later. Once, first of all; every thread is there when it returns.
    Result<> create_threads();
    // Brings all harts to their reset state and lets them run. Only while stopped.
    void start(const HartStart& start);
    // When it returns no guest code runs.
    void stop();

    // ---- harts_pause.cpp. By the machine's thread.

    // When it returns no hart executes guest code or a firmware call, and their states may be looked at and changed;
    // devices and the clock go on. Before `start`: the harts will stand at their first instruction.
    void pause();
    // Lets all harts go on.
    void resume();
    // A motion for each hart; paused before. A hart that steps, or stops at one of the debug points, stays, is noted
    // and reported by HartSurroundings::debug_stop. A stopped hart's step is done at once.
    void resume(std::span<const HartMotion> motions);
    // What was noted since the last resume.
    std::vector<HartStop> take_debug_stops();
    // For all harts; paused before.
    void set_debug_points(const std::shared_ptr<const cpu::DebugPoints>& points);
    firmware::HartState state_of(unsigned index) const { return harts_[index]->run_state.load(); }
    // For others than the hart's thread only while paused or stopped.
    const isa::riscv::Environment& environment() const { return environment_; }
    void request_instruction_fences();

    // ---- harts_engine.cpp. By the machine's thread.

    // All harts go on by vCPUs of `engine`, which outlives this object, from the states that they have. Those that run
    // stand still meanwhile; those that are paused stay so.
    void change_engine(const cpu::Engine& engine);

    // Where interrupt controllers put hart `hart`'s interrupts: the input is the number of an mip bit. SSIP is latched,
    // so only its rising counts.
    device::InterruptLine line(unsigned hart, unsigned interrupt);

    // The architectural state; for other threads than the hart's only while stopped.
    isa::riscv::Hart& hart(unsigned index) { return harts_[index]->state; }
    unsigned count() const { return static_cast<unsigned>(harts_.size()); }
    // Instructions retired by all harts, as of the last time that each left guest code.
    uint64_t retired() const;
    // What all vCPUs have counted, of all engines; only while stopped.
    void add_statistics(cpu::Statistics& statistics) const;

  private:
    struct One final : device::InterruptSink {
        isa::riscv::Hart state;
        trace::HartTrace* trace = nullptr;
        // One of each engine that was ever used, as an interrupt may notify one that was exchanged meanwhile.
        struct OfEngine {
            const cpu::Engine* engine;
            std::unique_ptr<cpu::Vcpu> vcpu;
        };
        std::vector<OfEngine> vcpus;
        std::atomic<cpu::Vcpu*> current{nullptr};
        std::thread thread;
        std::atomic<firmware::HartState> run_state{firmware::HartState::kStopped};
        std::atomic<uint64_t> retired{0};

        std::mutex lock;  // guards the start arguments, and sleeping against waking
        std::condition_variable wake;
        std::condition_variable came_to_rest;
        bool at_rest = false;  // the thread waits, and touches no state
        uint64_t start_pc = 0;
        uint64_t start_opaque = 0;
        std::atomic<HartMotion> motion{HartMotion::kRun};  // changed under the lock
        bool at_gate = false;                              // at_rest, until the next motion

        cpu::Vcpu& vcpu() const { return *current.load(); }
        void set_level(uint32_t interrupt, bool level) override;
        void notify();
    };
    class Environment final : public isa::riscv::Environment {
      public:
        explicit Environment(const device::Timebase& timebase) : timebase_(timebase) {}
        uint64_t time() const override { return timebase_.now(); }
        std::optional<uint16_t> entropy() const override;

      private:
        const device::Timebase& timebase_;
    };

    // The hart's vCPU of `engine` becomes its present one.
    void select(One& one, const cpu::Engine& engine);
    void run_thread(unsigned index);
    static void wait_for_rest(One& one);
    // False: the thread ends.
    bool wait_until_started(One& one);
    void run_started(unsigned index, One& one);
    // Does what a run or a step of the vCPU ended for; false: the hart stops.
    bool act_on(unsigned index, One& one, cpu::ExitReason reason, bool steps);
    firmware::Next call_firmware(unsigned index, One& one);
    void wait_for_interrupt(One& one);
    bool interrupt_ready(const One& one) const;
    // Waits while the hart is to stay; kStay: the machine stops.
    HartMotion pass_gate(One& one);
    void wait_at_gate(One& one, std::unique_lock<std::mutex>& guard);
    static void open_gate(One& one, HartMotion motion);
    static void leave_gate(One& one);
    void note_debug_stop(unsigned index, One& one, cpu::ExitReason reason);

    // firmware::Services
    unsigned hart_count() const override { return count(); }
    cpu::Vcpu& vcpu(unsigned hart) override { return harts_[hart]->vcpu(); }
    memory::GuestMemory& memory() override { return surroundings_.memory; }
    uint64_t time() const override { return environment_.time(); }
    void raise_software_interrupt(unsigned hart) override;
    firmware::HartState hart_state(unsigned hart) const override { return harts_[hart]->run_state.load(); }
    bool start_hart(unsigned hart, uint64_t pc, uint64_t opaque) override;
    void wait_for_fences(unsigned caller, uint64_t harts) override;
    void console_write(std::span<const uint8_t> bytes) override { surroundings_.console_write(bytes); }
    size_t console_read(std::span<uint8_t> bytes) override { return surroundings_.console_read(bytes); }
    void reset_system(firmware::SystemReset kind, bool failed) override { surroundings_.reset_system(kind, failed); }

    HartSurroundings surroundings_;
    Environment environment_;
    std::unique_ptr<firmware::Firmware> firmware_;
    bool host_firmware_ = false;
    std::atomic<bool> stopping_{true};  // no guest code is to run
    std::atomic<bool> ending_{false};   // no threads either
    std::mutex debug_lock_;             // of debug_stops_; leaf
    std::vector<HartStop> debug_stops_;
    std::shared_ptr<const cpu::DebugPoints> debug_points_;  // null: none
    std::vector<std::unique_ptr<One>> harts_;
};

}  // namespace doppel::machine
