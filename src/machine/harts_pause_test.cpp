// Harts that are paused and let go again and again, with guest code, interrupts and starting harts in flight. Meant for
// ThreadSanitizer too, so each hart writes memory of its own, which is looked at only while all are paused.
#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <set>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/instrumented.h"
#include "cpu/interpret/interpreter.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/csr.h"
#include "machine/harts.h"

namespace doppel::machine {
namespace {

using firmware::HartState;
namespace riscv = isa::riscv;

constexpr unsigned kCount = 4;
constexpr uint64_t kRam = 0x8000'0000, kRamBytes = 1 << 20;
constexpr uint64_t kSlots = kRam + 0x10000, kSlotBytes = 4096;
constexpr unsigned kS0 = 8, kS1 = 9;
constexpr unsigned kRounds = kInstrumented ? 40 : 80;

class HartsPause : public ::testing::Test {
  protected:
    HartsPause() {
        HartSurroundings surroundings{.memory = memory, .bus = bus, .timebase = timebase};
        surroundings.console_write = [](std::span<const uint8_t>) {};
        surroundings.console_read = [](std::span<uint8_t>) { return size_t{0}; };
        surroundings.reset_system = [](firmware::SystemReset, bool) {};
        surroundings.poll_budget = 500;  // after so many instructions Harts::retired() tells of them
        surroundings.debug_stop = [this] { reported.fetch_add(1); };
        harts = std::make_unique<Harts>(kCount, engine, std::move(surroundings));
        if (!memory.add_region(kRam, kRamBytes) || !harts->create_threads()) std::abort();
    }

    void put(uint64_t address, std::initializer_list<std::string_view> lines) {
        for (std::string_view line : lines) {
            auto bits = riscv::assemble(line, address);
            ASSERT_TRUE(bits) << bits.error().message();
            ASSERT_TRUE(memory.store<uint32_t>(address, *bits));
            address += 4;
        }
    }
    // Each hart counts in s0, and in its slot of memory.
    void put_counters() {
        put(kRam, {"slli t0, a0, 12", "auipc t1, 0x10", "addi t1, t1, -4", "add t0, t0, t1", "addi s0, s0, 1",
                   "sd s0, 0(t0)", "jal zero, 0x80000010"});
    }
    static constexpr uint64_t kCountAt = kRam + 16, kStoreAt = kRam + 20;
    // Each hart counts how often its sleep ended.
    void put_sleepers() {
        put(kRam, {"addi t0, zero, 8", "csrrw zero, mie, t0", "wfi", "addi s0, s0, 1", "jal zero, 0x80000008"});
    }
    static constexpr unsigned kSoftwareInterrupt = 3;  // the one that sleepers wait for

    void start() { harts->start({kRam, 0, false}); }
    void wait_for_progress(uint64_t instructions) const {
        for (uint64_t before = harts->retired(); harts->retired() < before + instructions;) std::this_thread::yield();
    }
    void wait_for_reports(unsigned count) const {
        while (reported.load() < count) std::this_thread::yield();
    }
    uint64_t& x(unsigned hart, unsigned number) { return harts->hart(hart).x[number]; }
    uint64_t slot(unsigned hart) const { return memory.load<uint64_t>(kSlots + hart * kSlotBytes).value_or(~0U); }

    device::Timebase timebase{host_clock()};
    memory::GuestMemory memory;
    device::Bus bus;
    cpu::interpret::Interpreter engine;
    std::atomic<unsigned> reported{0};
    std::unique_ptr<Harts> harts;  // the first to go
};

TEST_F(HartsPause, TheyStandBetweenInstructionsAndGoOnWithWhatWasChanged) {
    put_counters();
    start();
    for (unsigned round = 1; round <= kRounds; round++) {
        harts->pause();
        uint64_t retired = harts->retired();
        for (unsigned i = 0; i < kCount; i++) {
            uint64_t counted = x(i, kS0), stored = slot(i), pc = harts->hart(i).pc;
            EXPECT_EQ(counted - stored, pc == kStoreAt ? 1u : 0u) << "hart " << i << " at " << std::hex << pc;
            EXPECT_EQ(x(i, kS1), round == 1 ? 0 : round - 1 + i);
            x(i, kS1) = round + i;
            EXPECT_EQ(x(i, kS0), counted) << "it runs on";
        }
        EXPECT_EQ(harts->retired(), retired);
        harts->resume();
        if (round % 8 == 0) wait_for_progress(kCount * 1000);  // otherwise they hardly get away
    }
    harts->stop();
    for (unsigned i = 0; i < kCount; i++) EXPECT_GT(x(i, kS0), 0u) << i;
}

TEST_F(HartsPause, BeforeTheStartTheyStandAtTheirFirstInstruction) {
    put_counters();
    for (unsigned round = 0; round < kRounds / 10; round++) {
        harts->pause();
        start();
        harts->pause();
        for (unsigned i = 0; i < kCount; i++) {
            EXPECT_EQ(harts->hart(i).pc, kRam);
            EXPECT_EQ(x(i, kS0), 0u);
            EXPECT_EQ(harts->state_of(i), HartState::kStarted);
        }
        if (round % 2 == 0) {
            harts->resume();
            wait_for_progress(kCount * 100);
        }
        harts->stop();  // paused or not
    }
}

TEST_F(HartsPause, AnInterruptThatComesWhileTheyStandWakesThemAfterwards) {
    put_sleepers();
    start();
    for (unsigned round = 0; round < kRounds; round++) {
        harts->pause();
        harts->line(round % kCount, kSoftwareInterrupt).set(true);
        harts->resume();
        wait_for_progress(100);  // for ever, if it was lost
        harts->line(round % kCount, kSoftwareInterrupt).set(false);
    }
    harts->pause();
    for (unsigned i = 0; i < kCount; i++) EXPECT_GT(x(i, kS0), 0u) << i;
}

TEST_F(HartsPause, InterruptsOfOtherThreadsLetNoneGetAway) {
    put_sleepers();
    start();
    std::atomic<bool> enough{false};
    std::thread controller([&] {
        for (unsigned turn = 0; !enough.load(); turn++)
            harts->line(turn % kCount, kSoftwareInterrupt).set(turn / kCount % 2 == 0);
    });
    for (unsigned round = 0; round < kRounds; round++) {
        harts->pause();
        uint64_t counted[kCount];
        for (unsigned i = 0; i < kCount; i++) counted[i] = x(i, kS0);
        std::this_thread::yield();
        for (unsigned i = 0; i < kCount; i++) EXPECT_EQ(x(i, kS0), counted[i]) << "hart " << i << " got away";
        harts->request_instruction_fences();
        harts->resume();
    }
    enough.store(true);
    controller.join();
}

TEST_F(HartsPause, OneStepsWhileTheOthersStay) {
    put_counters();
    start();
    wait_for_progress(1000);
    harts->pause();
    for (unsigned round = 0; round < kRounds; round++) {
        unsigned stepped = round % kCount;
        uint64_t pcs[kCount];
        for (unsigned i = 0; i < kCount; i++) pcs[i] = harts->hart(i).pc;
        HartMotion motions[kCount] = {HartMotion::kStay, HartMotion::kStay, HartMotion::kStay, HartMotion::kStay};
        motions[stepped] = HartMotion::kStep;
        harts->resume(motions);
        wait_for_reports(round + 1);
        harts->pause();
        auto stops = harts->take_debug_stops();
        ASSERT_EQ(stops.size(), 1u);
        EXPECT_EQ(stops[0].hart, stepped);
        EXPECT_EQ(stops[0].reason, cpu::ExitReason::kBudget);
        for (unsigned i = 0; i < kCount; i++) {
            constexpr uint64_t kJumpAt = kStoreAt + 4;
            uint64_t next = pcs[i] == kJumpAt ? kCountAt : pcs[i] + 4;
            EXPECT_EQ(harts->hart(i).pc, i == stepped ? next : pcs[i]) << i;
        }
    }
}

TEST_F(HartsPause, EachIsNotedOnceAtABreakpoint) {
    put_counters();
    start();
    for (unsigned round = 0; round < kRounds / 4; round++) {
        harts->pause();
        reported.store(0);
        harts->set_debug_points(
            std::make_shared<cpu::DebugPoints>(std::vector{kStoreAt}, std::vector<cpu::Watchpoint>{}));
        harts->resume(std::vector(kCount, HartMotion::kRun));
        wait_for_reports(kCount);
        harts->pause();
        std::set<unsigned> noted;
        for (const HartStop& stop : harts->take_debug_stops()) {
            EXPECT_EQ(stop.reason, cpu::ExitReason::kBreakpoint);
            EXPECT_TRUE(noted.insert(stop.hart).second) << stop.hart << " twice";
            EXPECT_EQ(harts->hart(stop.hart).pc, kStoreAt);
        }
        EXPECT_EQ(noted.size(), kCount);
        harts->set_debug_points(nullptr);
        harts->resume();
        wait_for_progress(kCount);
    }
}

TEST_F(HartsPause, HartsThatStartAndStopMeanwhileStandToo) {
    constexpr uint64_t kSecondary = kRam + 0x1000;
    // Hart 0 starts the others in turn by the SBI's hart_start, whatever it answers.
    put(kRam, {"addi s2, s2, 1", "andi a0, s2, 3", "auipc a1, 0x1", "addi a1, a1, -8", "addi a6, zero, 0",
               "lui a7, 0x485", "addi a7, a7, 0x34d", "ecall", "addi s0, s0, 1", "jal zero, 0x80000000"});
    // They count, and stop by hart_stop.
    put(kSecondary, {"addi s0, s0, 1", "addi a6, zero, 1", "lui a7, 0x485", "addi a7, a7, 0x34d", "ecall"});
    harts->start({kRam, 0, /*host_firmware=*/true});
    for (unsigned round = 1; round <= kRounds; round++) {
        harts->pause();
        for (unsigned i = 0; i < kCount; i++) {
            HartState state = harts->state_of(i);
            EXPECT_TRUE(state == HartState::kStarted || state == HartState::kStopped) << "hart " << i;
            EXPECT_EQ(x(i, kS1), round == 1 ? 0 : round - 1) << "hart " << i;
            x(i, kS1) = round;
        }
        harts->resume();
        if (round % 8 == 0) wait_for_progress(1000);
    }
    // All have had their turn.
    for (bool all = false; !all;) {
        harts->pause();
        all = true;
        for (unsigned i = 0; i < kCount; i++) all = all && x(i, kS0) > 0;
        harts->resume();
        std::this_thread::yield();
    }
}

}  // namespace
}  // namespace doppel::machine
