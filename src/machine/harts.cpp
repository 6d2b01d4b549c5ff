#include "machine/harts.h"

#include <fmt/format.h>
#include <pthread.h>

#include <array>
#include <chrono>
#include <system_error>

#include "base/entropy.h"
#include "isa/riscv/csr.h"
#include "machine/firmware/sbi.h"

namespace doppel::machine {

using firmware::HartState;
using isa::riscv::Hart;

void Harts::One::set_level(uint32_t interrupt, bool level) {
    uint64_t bit = isa::riscv::irq::bit(interrupt);
    if (interrupt == isa::riscv::irq::kSupervisorSoftware) {
        if (level) state.pending.fetch_or(bit);
    } else if (level) {
        state.lines.fetch_or(bit);
    } else {
        state.lines.fetch_and(~bit);
    }
    if (level) notify();
}

void Harts::One::notify() {
    vcpu().notify();
    // The lock orders this after the sleeper's look at the interrupts, or before it.
    { std::lock_guard guard(lock); }
    wake.notify_all();
}

std::optional<uint16_t> Harts::Environment::entropy() const {
    std::array<uint8_t, 2> bytes;
    if (!host_entropy(bytes)) return std::nullopt;
    return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}

Harts::Harts(unsigned count, const cpu::Engine& engine, HartSurroundings surroundings)
    : surroundings_(std::move(surroundings)),
      environment_(surroundings_.timebase),
      firmware_(std::make_unique<firmware::Sbi>(static_cast<firmware::Services&>(*this))) {
    for (unsigned i = 0; i < count; i++) {
        auto one = std::make_unique<One>();
        one->state.id = i;
        if (surroundings_.traces != nullptr) one->trace = &surroundings_.traces->of(i);
        select(*one, engine);
        harts_.push_back(std::move(one));
    }
    // A guest that sets the time may have made a deadline pass.
    surroundings_.timebase.on_jump([this] {
        for (auto& one : harts_) one->notify();
    });
}

Harts::~Harts() {
    stop();
    ending_.store(true);
    for (auto& one : harts_) one->notify();
    for (auto& one : harts_) {
        if (one->thread.joinable()) one->thread.join();
    }
}

device::InterruptLine Harts::line(unsigned hart, unsigned interrupt) {
    return {*harts_[hart], interrupt};
}

uint64_t Harts::retired() const {
    uint64_t sum = 0;
    for (const auto& one : harts_) sum += one->retired.load();
    return sum;
}

void Harts::add_statistics(cpu::Statistics& statistics) const {
    for (const auto& one : harts_) {
        for (const auto& each : one->vcpus) each.vcpu->add_statistics(statistics);
    }
}

namespace {

// Guest calls that are open in translated code are on its thread's stack (translate/x86/native_state.h: two words
// each), as many as a slice has instructions. The user's limit may be smaller.
void ensure_stacks() {
    constexpr size_t kStackBytes = 4 << 20;
    pthread_attr_t attributes;
    size_t bytes = 0;
    if (pthread_getattr_default_np(&attributes) != 0) return;
    if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < kStackBytes) {
        pthread_attr_setstacksize(&attributes, kStackBytes);
        pthread_setattr_default_np(&attributes);
    }
    pthread_attr_destroy(&attributes);
}

}  // namespace

Result<> Harts::create_threads() {
    ensure_stacks();
    for (unsigned i = 0; i < count(); i++) {
        try {
            harts_[i]->thread = std::thread([this, i] { run_thread(i); });
        } catch (const std::system_error& problem) {
            return fail(Error{"start the machine", fmt::format("the thread of hart {}", i), problem.code().message(),
                              "ask for fewer --cpus, or raise the limit of processes (ulimit -u)"});
        }
    }
    for (auto& one : harts_) wait_for_rest(*one);
    return {};
}

void Harts::start(const HartStart& start) {
    host_firmware_ = start.host_firmware;
    for (auto& one : harts_) {
        Hart& hart = one->state;
        hart.x.fill(0);
        hart.f.fill(0);
        hart.csr = {};
        hart.reservation = {};
        hart.vector.reset();
        hart.privilege = isa::riscv::Privilege::kMachine;
        hart.host_firmware = false;
        hart.pending.store(0);
        hart.translation_version++;
        if (start.host_firmware) firmware_->prepare(hart);
        bool runs = !start.host_firmware || hart.id == 0;
        one->run_state.store(runs ? HartState::kStartPending : HartState::kStopped);
        one->start_pc = start.entry;
        one->start_opaque = start.device_tree;
        // Memory was loaded anew: what the vCPU decoded before may be gone.
        one->vcpu().request_translation_fence();
        one->vcpu().request_instruction_fence();
    }
    stopping_.store(false);
    for (auto& one : harts_) one->notify();
}

void Harts::stop() {
    stopping_.store(true);
    for (auto& one : harts_) {
        one->vcpu().request_exit();
        leave_gate(*one);
        one->notify();
    }
    for (auto& one : harts_) {
        if (one->thread.joinable()) wait_for_rest(*one);
    }
}

void Harts::wait_for_rest(One& one) {
    std::unique_lock guard(one.lock);
    one.came_to_rest.wait(guard, [&] { return one.at_rest; });
}

void Harts::run_thread(unsigned index) {
    One& one = *harts_[index];
    pthread_setname_np(pthread_self(), fmt::format("hart {}", index).c_str());
    if (surroundings_.thread_begins) surroundings_.thread_begins(index);
    while (wait_until_started(one)) run_started(index, one);
}

bool Harts::wait_until_started(One& one) {
    std::unique_lock guard(one.lock);
    one.at_rest = true;
    one.came_to_rest.notify_all();
    one.wake.wait(guard, [&] {
        return ending_.load() || (!stopping_.load() && one.run_state.load() == HartState::kStartPending);
    });
    if (ending_.load()) return false;
    one.at_rest = false;
    constexpr unsigned kA0 = 10, kA1 = 11;
    one.state.x[kA0] = one.state.id;
    one.state.x[kA1] = one.start_opaque;
    one.state.pc = one.start_pc;
    one.run_state.store(HartState::kStarted);
    return true;
}

void Harts::run_started(unsigned index, One& one) {
    while (!stopping_.load(std::memory_order_relaxed)) {
        HartMotion motion = one.motion.load(std::memory_order_relaxed);
        if (motion != HartMotion::kRun) [[unlikely]] {
            motion = pass_gate(one);
            if (motion == HartMotion::kStay) return;
        }
        bool steps = motion == HartMotion::kStep;
        cpu::ExitReason reason = steps ? one.vcpu().step() : one.vcpu().run(surroundings_.poll_budget);
        one.retired.store(one.state.retired, std::memory_order_relaxed);
        if (one.trace != nullptr) one.trace->flush();
        if (surroundings_.poll) surroundings_.poll();
        bool goes_on = act_on(index, one, reason, steps);
        bool stopped = reason == cpu::ExitReason::kBreakpoint || reason == cpu::ExitReason::kWatchpoint;
        if (steps || stopped) [[unlikely]]
            note_debug_stop(index, one, reason);
        if (!goes_on) return;
    }
}

bool Harts::act_on(unsigned index, One& one, cpu::ExitReason reason, bool steps) {
    switch (reason) {
        case cpu::ExitReason::kBudget:
        case cpu::ExitReason::kAttention:
        case cpu::ExitReason::kBreakpoint:
        case cpu::ExitReason::kWatchpoint:
            return true;
        case cpu::ExitReason::kWait:
            if (!steps) wait_for_interrupt(one);
            return true;
        case cpu::ExitReason::kFailed:
            surroundings_.reset_system(firmware::SystemReset::kShutdown, /*failed=*/true);
            one.run_state.store(HartState::kStopped);
            return false;
        case cpu::ExitReason::kFirmwareCall:
            break;
    }
    switch (call_firmware(index, one)) {
        case firmware::Next::kContinue:
            return true;
        case firmware::Next::kSuspend:
            one.run_state.store(HartState::kSuspended);
            if (!steps) wait_for_interrupt(one);
            one.run_state.store(HartState::kStarted);
            return true;
        case firmware::Next::kStop:
            one.run_state.store(HartState::kStopped);
            return false;
    }
    return true;
}

firmware::Next Harts::call_firmware(unsigned index, One& one) {
    if (one.trace == nullptr) return firmware_->call(index, one.state);
    const trace::FirmwareCall call = trace::HartTrace::call_of(one.state);
    const firmware::Next next = firmware_->call(index, one.state);
    one.trace->firmware_call(one.state, call, next != firmware::Next::kStop);
    return next;
}

bool Harts::interrupt_ready(const One& one) const {
    return (isa::riscv::interrupts_pending(one.state, environment_) & one.state.csr.mie) != 0;
}

void Harts::wait_for_interrupt(One& one) {
    using isa::riscv::irq::bit;
    const auto& csr = one.state.csr;
    std::unique_lock guard(one.lock);
    while (!stopping_.load() && !interrupt_ready(one)) {
        if (one.motion.load() != HartMotion::kRun) [[unlikely]] {
            uint64_t pc = one.state.pc;
            wait_at_gate(one, guard);
            // The debugger has other plans with this hart than waiting.
            if (one.motion.load() == HartMotion::kStep || one.state.pc != pc) return;
            continue;
        }
        bool timed = (csr.menvcfg & isa::riscv::envcfg::kStce) && (csr.mie & bit(isa::riscv::irq::kSupervisorTimer));
        std::optional<uint64_t> deadline;
        if (timed) {
            const uint64_t now = environment_.time();
            if (now >= csr.stimecmp) continue;  // it came since the look at the interrupts
            deadline = surroundings_.timebase.nanoseconds_at(csr.stimecmp, now);
        }
        if (deadline) {
            // The timebase's clock is the host's monotonic one, and so is steady_clock.
            one.wake.wait_until(guard, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(*deadline)));
        } else {
            one.wake.wait(guard);
        }
    }
}

// ---- firmware::Services

void Harts::raise_software_interrupt(unsigned hart) {
    harts_[hart]->set_level(isa::riscv::irq::kSupervisorSoftware, true);
}

bool Harts::start_hart(unsigned hart, uint64_t pc, uint64_t opaque) {
    One& one = *harts_[hart];
    {
        std::lock_guard guard(one.lock);
        if (one.run_state.load() != HartState::kStopped) return false;
        // Before anyone can see it start: an interrupt sent from then on must not be lost. Its thread sleeps on `lock`.
        firmware_->prepare(one.state);
        one.start_pc = pc;
        one.start_opaque = opaque;
        one.run_state.store(HartState::kStartPending);
    }
    one.wake.notify_all();
    return true;
}

void Harts::wait_for_fences(unsigned caller, uint64_t harts) {
    // Two harts that wait for each other do not block: neither executes guest code now, so their own fences count as
    // done.
    for (unsigned i = 0; i < count(); i++) {
        if (!(harts >> i & 1) || i == caller) continue;
        while (!harts_[i]->vcpu().fences_done() && !stopping_.load(std::memory_order_relaxed))
            std::this_thread::yield();
    }
}

}  // namespace doppel::machine
