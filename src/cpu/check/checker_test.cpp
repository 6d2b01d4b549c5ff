#include "cpu/check/checker.h"

#include <gmock/gmock.h>

#include <optional>
#include <utility>

#include "cpu/interpret/program_machine.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {

// The interpreter's tests are the translator's, and each block of them is compared.
std::unique_ptr<Vcpu> make_test_vcpu(const VcpuParts& parts) {
    auto engine = check::Checker::create({.cache_bytes = size_t{1} << 20},
                                         [](const std::string& difference) { ADD_FAILURE() << difference; });
    return engine ? (*engine)->make_vcpu(parts) : nullptr;
}

}  // namespace doppel::cpu::interpret

namespace doppel::cpu::check {
namespace {

using interpret::ProgramMachine;
using testing::HasSubstr;

// A tier that does not only what the right one does.
class WrongTier final : public interpret::NativeTier {
  public:
    using Run =
        std::function<Next(NativeTier& right, const interpret::CodePlace&, interpret::SoftTlb&, int64_t& budget)>;
    WrongTier(std::unique_ptr<NativeTier> tier, Run run) : tier_(std::move(tier)), run_(std::move(run)) {}

    Next run(const interpret::CodePlace& place, interpret::SoftTlb& tlb, int64_t& budget) override {
        return run_(*tier_, place, tlb, budget);
    }
    void translate(const interpret::CodePlace& place) override { tier_->translate(place); }
    void context_changed(uint32_t context) override { tier_->context_changed(context); }
    void drop_jumps() override { tier_->drop_jumps(); }
    void drop_jumps_to(uint64_t page) override { tier_->drop_jumps_to(page); }
    void fence_instructions() override { tier_->fence_instructions(); }
    void begin() override { tier_->begin(); }
    void end() override { tier_->end(); }
    void note_code_write(uint64_t physical) override { tier_->note_code_write(physical); }
    uint64_t instructions() const override { return tier_->instructions(); }
    void add_statistics(Statistics& statistics) const override { tier_->add_statistics(statistics); }

  private:
    std::unique_ptr<NativeTier> tier_;
    Run run_;
};

constexpr unsigned kS0 = 8, kA0 = 10, kA1 = 11, kT3 = 28;
using Next = interpret::NativeTier::Next;

// Counts down from a0, with stores to memory at s0.
class Check : public testing::Test {
  protected:
    static std::vector<std::string> loop() {
        return {"addi a1, a1, 7", "sd a1, 0(s0)", "addi a0, a0, -1", "bne a0, zero, " + std::to_string(kLoop),
                "ebreak"};
    }
    static constexpr uint64_t kLoop = ProgramMachine::kCode;

    // The right code runs, and then something is done to its result.
    using Spoil = std::function<void(isa::riscv::Hart&, interpret::SoftTlb&, int64_t executed)>;
    std::optional<std::string> difference_with(const Spoil& spoil) {
        return difference_of([&](auto& right, const auto& place, auto& tlb, int64_t& budget) {
            int64_t before = budget;
            Next next = right.run(place, tlb, budget);
            spoil(machine.hart, tlb, before - budget);
            return next;
        });
    }
    // nullopt: the loop ran to its end, and nothing was told.
    std::optional<std::string> difference_of(const WrongTier::Run& run) {
        auto translator = translate::Translator::create({.cache_bytes = size_t{1} << 20, .hot = 0});
        if (!translator) return "there is no translator";
        auto comparison = std::make_shared<Comparison>();
        std::optional<std::string> told;
        comparison->report = [&](const std::string& text) {
            EXPECT_FALSE(told) << "told twice";
            told = text;
        };
        VcpuParts parts{machine.hart, machine.memory, machine.bus, machine.time};
        interpret::Runner runner(parts);
        auto make = [&](interpret::NativeHost& host) -> std::unique_ptr<interpret::NativeTier> {
            return std::make_unique<WrongTier>((*translator)->make_tier(parts, host), run);
        };
        runner.set_native_tier(std::make_unique<CheckTier>(parts, comparison, runner, make), 0);
        machine.put(kLoop, loop());
        machine.hart.pc = kLoop;
        machine.hart.privilege = isa::riscv::Privilege::kMachine;
        machine.hart.x[kS0] = ProgramMachine::kData;
        machine.hart.x[kA0] = kPasses;
        constexpr uint64_t kEnough = 1'000'000;
        ExitReason reason = runner.run(kEnough);
        EXPECT_EQ(reason, told ? ExitReason::kFailed : ExitReason::kWait);
        if (told) {
            EXPECT_EQ(runner.run(kEnough), ExitReason::kFailed) << "it went on";
        }
        return told;
    }

    static constexpr uint64_t kPasses = 200;
    ProgramMachine machine;
};

TEST_F(Check, LetsRightCodeRunAndCountsItOnce) {
    EXPECT_EQ(difference_with([](auto&, auto&, int64_t) {}), std::nullopt);
    EXPECT_EQ(machine.hart.x[kA0], 0u);
    EXPECT_EQ(machine.load<uint64_t>(ProgramMachine::kData), 7 * kPasses);
    EXPECT_EQ(machine.hart.retired, 4 * kPasses + 1);
}

TEST_F(Check, FindsAWrongRegister) {
    auto told = difference_with([](isa::riscv::Hart& hart, auto&, int64_t executed) {
        if (executed > 0 && hart.x[kA0] <= 150) hart.x[kT3] ^= 0x100;
    });
    ASSERT_TRUE(told);
    EXPECT_THAT(
        *told, HasSubstr("hart 0: translated code and the interpreter differ after 4 instructions from pc 0x80001000"));
    EXPECT_THAT(*told, HasSubstr("* t3                0x0                 0x0                 0x100\n"));
    EXPECT_THAT(*told, HasSubstr("sd a1, 0(s0)"));
    EXPECT_THAT(*told, HasSubstr("Its intermediate representation:\n"));
    EXPECT_THAT(*told, HasSubstr("  a0                0x97                0x96                0x96\n"));
}

TEST_F(Check, FindsAWrongFloatRegisterFlagAndPc) {
    EXPECT_THAT(difference_with([](auto& hart, auto&, int64_t executed) {
                    if (executed > 0) hart.f[3] = 1;
                }).value_or(""),
                HasSubstr("* ft3 "));
    EXPECT_THAT(difference_with([](auto& hart, auto&, int64_t executed) {
                    if (executed > 0) hart.csr.fflags |= 1;
                }).value_or(""),
                HasSubstr("* fflags "));
    EXPECT_THAT(difference_with([](auto& hart, auto&, int64_t executed) {
                    if (executed > 0) hart.pc += 4;
                }).value_or(""),
                HasSubstr("* pc "));
    EXPECT_THAT(difference_with([](auto& hart, auto&, int64_t executed) {
                    if (executed > 0) hart.reservation.bytes = 4;
                }).value_or(""),
                HasSubstr("* reserved bytes "));
}

TEST_F(Check, FindsAWrongStoreAndOneThatIsMissing) {
    auto at = [](interpret::SoftTlb& tlb, uint64_t va) -> uint64_t* {
        interpret::TlbEntry& entry = tlb.slot(va);
        bool writable = entry.write_tag == (va & interpret::kPageMask);
        return writable ? reinterpret_cast<uint64_t*>(va + entry.offset) : nullptr;
    };
    auto told = difference_with([&](auto&, interpret::SoftTlb& tlb, int64_t) {
        if (uint64_t* word = at(tlb, ProgramMachine::kData + 0x128)) *word = 0xabcd;
    });
    EXPECT_THAT(told.value_or(""), HasSubstr("* 0x80100128        0x0                 0x0                 0xabcd\n"));
    told = difference_with([&](auto&, interpret::SoftTlb& tlb, int64_t) {
        if (uint64_t* word = at(tlb, ProgramMachine::kData)) *word = 0;
    });
    EXPECT_THAT(told.value_or(""), HasSubstr("* 0x80100000"));
}

TEST_F(Check, FindsStoresThatNeverReachTheirPage) {
    auto told = difference_of([&](auto&, const auto& place, auto&, int64_t& budget) {
        if (place.pc != kLoop || budget < 4) return Next::kInterpretBlock;
        machine.hart.x[kA1] += 7;
        machine.hart.x[kA0] -= 1;
        machine.hart.pc = machine.hart.x[kA0] != 0 ? kLoop : kLoop + 16;
        budget -= 4;
        return Next::kGoOn;
    });
    EXPECT_THAT(told.value_or(""),
                HasSubstr("* The interpreter wrote to the page 0x80100000, translated code did not.\n"));
}

TEST_F(Check, GoesOnWhenADifferenceIsGoneAtTheSecondLook) {
    bool once = false;
    EXPECT_EQ(difference_with([&](isa::riscv::Hart& hart, auto&, int64_t executed) {
                  if (executed > 0 && hart.x[kA0] <= 100 && !std::exchange(once, true)) hart.x[kT3] = 1;
              }),
              std::nullopt);
    EXPECT_TRUE(once);
    EXPECT_EQ(machine.load<uint64_t>(ProgramMachine::kData), 7 * kPasses);
    EXPECT_EQ(machine.hart.retired, 4 * kPasses + 1);
}

TEST_F(Check, TellsOfADifferenceThatOnlyChainsOfBlocksShow) {
    auto told = difference_with([](isa::riscv::Hart& hart, auto&, int64_t executed) {
        if (executed > 4) hart.x[kT3] = 1;
    });
    ASSERT_TRUE(told);
    EXPECT_THAT(*told, HasSubstr("only the chain of them does"));
    EXPECT_THAT(*told, HasSubstr("* t3 "));
}

}  // namespace
}  // namespace doppel::cpu::check
