// Harts that sleep until a moment of the guest's clock.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "cpu/interpret/interpreter.h"
#include "isa/riscv/assemble.h"
#include "machine/harts.h"

namespace doppel::machine {
namespace {

// Some ticks of the guest's clock pass whenever somebody looks.
class HastyClock final : public Clock {
  public:
    uint64_t monotonic() const override { return readings_.fetch_add(1) * 3 * device::Timebase::kNanosecondsPerTick; }
    uint64_t realtime() const override { return 0; }

  private:
    mutable std::atomic<uint64_t> readings_{0};
};

// Whoever looked at the interrupts, and then at how long it is until the next, missed the moment in between and slept
// for ever.
TEST(HartsTimer, ADeadlineThatPassesWhileAHartLiesDownWakesIt) {
    constexpr uint64_t kRam = 0x8000'0000, kWanted = 2000, kInstructionsPerRound = 7;
    HastyClock clock;
    device::Timebase timebase{clock};
    memory::GuestMemory memory;
    device::Bus bus;
    cpu::interpret::Interpreter engine;
    HartSurroundings surroundings{.memory = memory, .bus = bus, .timebase = timebase};
    surroundings.console_write = [](std::span<const uint8_t>) {};
    surroundings.console_read = [](std::span<uint8_t>) { return size_t{0}; };
    std::atomic<bool> ended{false};
    surroundings.reset_system = [&](firmware::SystemReset, bool) { ended.store(true); };
    surroundings.poll_budget = 100;
    Harts harts(1, engine, std::move(surroundings));
    ASSERT_TRUE(memory.add_region(kRam, 1 << 16) && harts.create_threads());
    uint64_t at = kRam;
    // With a distance that grows from round to round, so that the moment falls between any two looks.
    for (std::string_view line : {"addi t0, zero, 1", "slli t0, t0, 63", "csrrw zero, menvcfg, t0", "addi t1, zero, 32",
                                  "csrrw zero, mie, t1", "andi t3, s0, 15", "csrrs t2, time, zero", "add t2, t2, t3",
                                  "csrrw zero, stimecmp, t2", "wfi", "addi s0, s0, 1", "jal zero, 0x80000014"}) {
        auto bits = isa::riscv::assemble(line, at);
        ASSERT_TRUE(bits) << bits.error().message();
        ASSERT_TRUE(memory.store<uint32_t>(at, *bits));
        at += 4;
    }
    harts.start({kRam, 0, false});
    while (harts.retired() < kWanted * kInstructionsPerRound) std::this_thread::yield();  // pausing would wake it
    harts.stop();
}

}  // namespace
}  // namespace doppel::machine
