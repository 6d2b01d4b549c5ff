// Harts whose engine is exchanged again and again while they compute, keep timers and send each other interrupts: they
// do not notice.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/instrumented.h"
#include "cpu/interpret/interpreter.h"
#if DOPPEL_TRANSLATE
#include "cpu/translate/translator.h"
#endif
#include "isa/riscv/assemble.h"
#include "machine/harts.h"
#include "machine/pauses.h"

namespace doppel::machine {
namespace {

namespace riscv = isa::riscv;

constexpr unsigned kCount = 4;
constexpr uint64_t kRam = 0x8000'0000, kRamBytes = 1 << 20;
constexpr uint64_t kHandler = kRam + 0x1000, kWork = kRam + 0x2000, kDataBytes = 4096;
constexpr uint64_t kRounds = kInstrumented ? 40'000 : 400'000;
constexpr unsigned kSum = 8, kLeft = 9, kTicks = 18, kFault = 19;  // s0, s1, s2, s3

std::unique_ptr<cpu::Engine> make_translator() {
#if DOPPEL_TRANSLATE
    auto made = cpu::translate::Translator::create({.cache_bytes = size_t{4} << 20});
    if (made) return std::move(*made);
#endif
    return std::make_unique<cpu::interpret::Interpreter>();
}

class HartsEngine : public testing::Test {
  protected:
    void make(const cpu::Engine& engine) {
        HartSurroundings surroundings{.memory = memory, .bus = bus, .timebase = timebase};
        surroundings.console_write = [](std::span<const uint8_t>) {};
        surroundings.console_read = [](std::span<uint8_t>) { return size_t{0}; };
        surroundings.reset_system = [](firmware::SystemReset, bool) {};
        surroundings.poll_budget = 5000;
        harts = std::make_unique<Harts>(kCount, engine, std::move(surroundings));
        if (!memory.add_region(kRam, kRamBytes) || !harts->create_threads()) std::abort();
    }
    void put(uint64_t address, const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            auto bits = riscv::assemble(line, address);
            ASSERT_TRUE(bits) << line << ": " << bits.error().message();
            ASSERT_TRUE(memory.store<uint32_t>(address, *bits));
            address += 4;
        }
    }
    static std::string at(uint64_t address) { return std::to_string(address); }

    // Each hart sums up, with integers and floats, a page of its own that it changes on the way; a timer interrupts it,
    // whose handler counts and sees that the clock never goes back.
    void put_work() {
        put(kRam, {"addi t0, zero, 1", "slli t0, t0, 63", "csrrw zero, menvcfg, t0",  // Sstc
                   "lui t0, 6", "csrrs zero, mstatus, t0",                            // floats on
                   "auipc t0, 1", "addi t0, t0, -20", "csrrw zero, mtvec, t0",        // kHandler
                   "addi t0, zero, 32", "csrrw zero, mie, t0", "csrrw zero, stimecmp, zero", "csrrsi zero, mstatus, 8",
                   "jal zero, " + at(kWork)});
        put(kHandler, {"csrrs t5, time, zero", "bgeu t5, s4, " + at(kHandler + 12), "addi s3, s3, 1", "addi s4, t5, 0",
                       "addi s2, s2, 1", "addi t5, t5, 300", "csrrw zero, stimecmp, t5", "mret"});
        // a0: the hart; s5: its page; s1 rounds.
        put(kWork, {"slli s5, a0, 12", "auipc t0, 0x10", "add s5, s5, t0", "lui s1, " + std::to_string(kRounds >> 12),
                    "addi t1, zero, 1", "fcvt.d.l fa0, a0, rne", "fcvt.d.l fa1, t1, rne",
                    // the loop
                    "slli t0, s1, 3", "andi t0, t0, 2040", "add t0, t0, s5", "ld t2, 0(t0)", "add t2, t2, s1",
                    "mul t3, t2, s0", "xor s0, t3, t2", "sd s0, 0(t0)", "fadd.d fa0, fa0, fa1, rne",
                    "fdiv.d fa2, fa1, fa0, rne", "fmv.x.d t4, fa2", "add s0, s0, t4", "addi s1, s1, -1",
                    "bne s1, zero, " + at(kWork + 28), "csrrwi zero, mie, 0", "wfi", "jal zero, " + at(kWork + 88)});
    }
    std::vector<uint64_t> sums() {
        harts->pause();
        std::vector<uint64_t> found;
        for (unsigned i = 0; i < kCount; i++) found.push_back(harts->hart(i).x[kSum]);
        return found;
    }
    bool are_done() {
        harts->pause();
        bool done = true;
        for (unsigned i = 0; i < kCount; i++)
            done = done && harts->hart(i).pc >= kWork + 84 && harts->hart(i).x[kLeft] == 0;
        harts->resume();
        return done;
    }

    // Until each hart has executed so many instructions more.
    void wait_for_each(uint64_t instructions) {
        for (unsigned i = 0; i < kCount; i++) {
            uint64_t before = 0;
            for (bool first = true, enough = false; !enough; first = false) {
                harts->pause();
                const uint64_t now = harts->hart(i).retired;
                if (first) before = now;
                enough = now >= before + instructions;
                harts->resume();
                std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        }
    }

    device::Timebase timebase{host_clock()};
    memory::GuestMemory memory;
    device::Bus bus;
    cpu::interpret::Interpreter interpreter;
    std::unique_ptr<cpu::Engine> translator = make_translator();
    std::unique_ptr<Harts> harts;  // the first to go
};

// The sums as one engine alone finds them.
std::vector<uint64_t> expected();

class Expected : public HartsEngine {
  public:
    std::vector<uint64_t> run() {
        make(interpreter);
        put_work();
        harts->start({kRam, 0, false});
        while (!are_done()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return sums();
    }
    void TestBody() override {}
};

std::vector<uint64_t> expected() {
    return Expected().run();
}

TEST_F(HartsEngine, IsExchangedHundredsOfTimesWithoutTheGuestsNotice) {
    const std::vector<uint64_t> right = expected();
    make(*translator);
    put_work();
    harts->start({kRam, 0, false});
    unsigned changes = 0;
    for (unsigned seed = 1; !are_done(); changes++) {
        harts->change_engine(changes % 2 == 0 ? static_cast<const cpu::Engine&>(interpreter) : *translator);
        seed = seed * 1103515245 + 12345;
        std::this_thread::sleep_for(std::chrono::microseconds(seed >> 16 & 0x3ff));
    }
    EXPECT_EQ(sums(), right) << "after " << changes << " changes";
    for (unsigned i = 0; i < kCount; i++) {
        EXPECT_EQ(harts->hart(i).x[kFault], 0u) << "the clock went back, hart " << i;
        EXPECT_GT(harts->hart(i).x[kTicks], 0u);
    }
    harts->resume();
    harts->stop();
}

TEST_F(HartsEngine, AnInterruptThatComesDuringTheChangeIsTaken) {
    make(interpreter);
    put(kRam, {"addi t0, zero, 8", "csrrw zero, mie, t0", "wfi", "addi s0, s0, 1", "jal zero, " + at(kRam + 8)});
    constexpr unsigned kSoftwareInterrupt = 3;
    harts->start({kRam, 0, false});
    for (unsigned round = 0; round < 200; round++) {
        const unsigned hart = round % kCount;
        const uint64_t before = harts->retired();
        std::thread sender([&] { harts->line(hart, kSoftwareInterrupt).set(true); });
        harts->change_engine(round % 2 == 0 ? *translator : static_cast<const cpu::Engine&>(interpreter));
        sender.join();
        while (harts->retired() < before + 50) std::this_thread::yield();  // for ever, if it was lost
        harts->line(hart, kSoftwareInterrupt).set(false);
    }
    harts->stop();
}

TEST_F(HartsEngine, HartsThatStandStayWhereTheyAre) {
    make(interpreter);
    put_work();
    harts->start({kRam, 0, false});
    harts->pause();
    const uint64_t pc = harts->hart(1).pc, retired = harts->hart(1).retired;
    harts->change_engine(*translator);
    harts->change_engine(interpreter);
    EXPECT_EQ(harts->hart(1).pc, pc);
    EXPECT_EQ(harts->hart(1).retired, retired);
    harts->resume();
    while (!are_done()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(sums(), expected());
    harts->stop();
}

TEST_F(HartsEngine, APauseLastsUntilTheLastReasonIsGoneAndTakesNoTimeOfTheGuest) {
    using Reason = Pauses::Reason;
    make(*translator);
    put(kRam, {"addi s0, s0, 1", "jal zero, " + at(kRam)});
    harts->start({kRam, 0, false});
    Pauses pauses(*harts, timebase);
    wait_for_each(10);
    pauses.end(Reason::kUser);  // there was none
    const uint64_t host_began = host_clock().monotonic();
    pauses.begin(Reason::kUser);
    pauses.begin(Reason::kStorage);
    const uint64_t retired = harts->hart(0).retired, time = timebase.now();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pauses.end(Reason::kUser);
    EXPECT_TRUE(pauses.is(Reason::kStorage) && !pauses.is(Reason::kUser));
    harts->change_engine(interpreter);
    EXPECT_EQ(harts->hart(0).retired, retired);
    pauses.end(Reason::kStorage);
    const uint64_t passed = (timebase.now() - time) * device::Timebase::kNanosecondsPerTick;
    EXPECT_LE(passed + 20'000'000, host_clock().monotonic() - host_began);
    wait_for_each(10);
    harts->stop();
    EXPECT_GT(harts->hart(0).retired, retired);
}

// Code that one engine translated, changed while another was at work.
TEST_F(HartsEngine, CodeThatChangedMeanwhileIsSeenByTheEngineThatComesBack) {
    make(*translator);
    put(kRam, {"addi s0, s0, 1", "jal zero, " + at(kRam)});
    harts->start({kRam, 0, false});
    for (unsigned value = 2; value < 10; value++) {
        wait_for_each(1000);
        harts->change_engine(interpreter);
        harts->pause();
        put(kRam, {"addi s0, zero, " + std::to_string(value)});
        harts->request_instruction_fences();
        harts->resume();
        harts->change_engine(*translator);
        wait_for_each(10);
        harts->pause();
        for (unsigned i = 0; i < kCount; i++) ASSERT_EQ(harts->hart(i).x[kSum], value) << i;
        harts->resume();
    }
    harts->stop();
}

}  // namespace
}  // namespace doppel::machine
