// The machine's harts: a host thread each, their interrupt inputs, and what the firmware asks of them.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cpu/vcpu.h"
#include "device/interrupt.h"
#include "device/timebase.h"
#include "isa/riscv/hart.h"
#include "machine/firmware/firmware.h"

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

    // Brings all harts to their reset state and starts the threads.
    void start(const HartStart& start);
    // Ends the threads; when it returns no guest code runs.
    void stop();

    // Where interrupt controllers put hart `hart`'s interrupts: the input is the number of an mip bit. SSIP is latched,
    // so only its rising counts.
    device::InterruptLine line(unsigned hart, unsigned interrupt);

    // The architectural state; for other threads than the hart's only while stopped.
    isa::riscv::Hart& hart(unsigned index) { return harts_[index]->state; }
    unsigned count() const { return static_cast<unsigned>(harts_.size()); }
    // Instructions retired by all harts, as of the last time that each left guest code.
    uint64_t retired() const;

  private:
    struct One final : device::InterruptSink {
        isa::riscv::Hart state;
        std::unique_ptr<cpu::Vcpu> vcpu;
        std::thread thread;
        std::atomic<firmware::HartState> run_state{firmware::HartState::kStopped};
        std::atomic<uint64_t> retired{0};

        std::mutex lock;  // guards the start arguments, and sleeping against waking
        std::condition_variable wake;
        uint64_t start_pc = 0;
        uint64_t start_opaque = 0;

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

    void run_thread(unsigned index);
    // False: the machine stops.
    bool wait_until_started(One& one);
    void run_started(unsigned index, One& one);
    void wait_for_interrupt(One& one);
    bool interrupt_ready(const One& one) const;

    // firmware::Services
    unsigned hart_count() const override { return count(); }
    cpu::Vcpu& vcpu(unsigned hart) override { return *harts_[hart]->vcpu; }
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
    std::atomic<bool> stopping_{false};
    std::vector<std::unique_ptr<One>> harts_;
};

}  // namespace doppel::machine
