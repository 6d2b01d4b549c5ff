#include "cpu/translate/code_cache.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cpu/interpret/program_machine.h"
#include "cpu/translate/tier.h"

namespace doppel::cpu::translate {
namespace {

constexpr CodeMode kMode{};

class CodeCacheTest : public testing::Test {
  protected:
    CodeCacheTest() {
        auto made = CodeCache::create(size_t{1} << 20);
        EXPECT_TRUE(made) << made.error().message();
        cache = std::move(*made);
        std::vector<uint32_t> words;
        for (const std::string& line : kLines) words.push_back(interpret::ProgramMachine::assemble(line));
        for (uint64_t at = kCode; at < kCode + kLength; at += kBlock) {
            for (size_t i = 0; i < words.size(); i++) machine.store<uint32_t>(at + 4 * i, words[i]);
        }
    }
    const memory::Region& ram() { return *machine.memory.find(kCode, 1); }
    const uint8_t* translate(uint64_t physical) { return cache->translate(ram(), physical, kMode); }
    // Translates blocks until the cache is flushed, or there are no more; returns how many.
    unsigned fill() {
        uint64_t generation = cache->generation();
        unsigned count = 0;
        while (count < kBlocks && cache->generation() == generation) translate(kCode + kBlock * count++);
        return count;
    }

    static constexpr uint64_t kCode = interpret::ProgramMachine::kRam + 0x200000;
    static constexpr uint64_t kLength = 0x100000, kBlock = 32;
    static constexpr unsigned kBlocks = kLength / kBlock;
    const std::vector<std::string> kLines{"add a0, a0, a1", "ld a2, 0(a0)",   "sd a2, 8(a0)",   "mul a3, a2, a1",
                                          "xor a4, a3, a2", "sub a5, a4, a0", "and a6, a5, a4", "jalr zero, 0(ra)"};
    interpret::ProgramMachine machine;
    std::unique_ptr<CodeCache> cache;
};

TEST_F(CodeCacheTest, IsEmptyAndWorksOnAfterItWasFull) {
    ASSERT_NE(translate(kCode), nullptr);
    EXPECT_LT(fill(), kBlocks);
    EXPECT_EQ(cache->statistics().flushes, 1u);
    EXPECT_EQ(cache->find(kCode, kMode), nullptr);
    EXPECT_FALSE(memory::GuestMemory::holds_code(ram(), kCode));
    const uint8_t* again = translate(kCode);
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(cache->find(kCode, kMode), again);
    EXPECT_TRUE(memory::GuestMemory::holds_code(ram(), kCode));
    for (int i = 0; i < 3; i++) EXPECT_LT(fill(), kBlocks);
    EXPECT_EQ(cache->statistics().flushes, 4u);
}

TEST_F(CodeCacheTest, KeepsTheCodeThatAHartRuns) {
    Participant participant;
    cache->join(participant);
    const uint8_t* code = translate(kCode);
    ASSERT_TRUE(cache->enter(participant));
    EXPECT_EQ(fill(), kBlocks);
    EXPECT_EQ(cache->statistics().flushes, 0u);
    EXPECT_EQ(cache->find(kCode, kMode), code);
    CodeCache::exit(participant);
    // Whoever comes next empties it, and is asked to come again.
    EXPECT_FALSE(cache->enter(participant));
    EXPECT_EQ(cache->statistics().flushes, 1u);
    EXPECT_TRUE(cache->enter(participant));
    cache->leave(participant);
}

struct NoHost final : interpret::NativeHost {
    bool fill(uint64_t, unsigned, bool) override { return false; }
    void drop_code_writes() override {}
    std::optional<isa::riscv::SystemContext> begin_system(uint64_t, int64_t) override { return std::nullopt; }
    interpret::SoftTlb* goes_on_with() override { return nullptr; }
    bool undoes() const override { return false; }
    std::optional<interpret::CodePlace> place() override { return std::nullopt; }
    interpret::Interpreted interpret(uint64_t, interpret::SoftTlb&) override { return {}; }
};

TEST_F(CodeCacheTest, LinksNoJumpOfCodeThatIsGone) {
    std::shared_ptr<CodeCache> shared = std::move(cache);
    cache.reset();
    NoHost host;
    Tier tier({machine.hart, machine.memory, machine.bus, machine.time}, shared, host);
    constexpr uint64_t kSource = interpret::ProgramMachine::kRam + 0x8000, kTarget = kSource + 68;
    machine.put(kSource, {"add a0, a0, a1", "jal zero, " + std::to_string(kTarget)});
    machine.put(kTarget, {"add a0, a0, a1", "jalr zero, 0(ra)"});
    interpret::SoftTlb tlb{};
    int64_t budget = 1000;
    auto run = [&](uint64_t pc) {
        machine.hart.pc = pc;
        shared->translate(ram(), pc, kMode);
        return tier.run({pc, pc, ram().host + (pc - ram().base)}, tlb, budget);
    };
    EXPECT_EQ(run(kSource), interpret::NativeTier::Next::kGoOn);
    EXPECT_EQ(machine.hart.pc, kTarget);
    // Meanwhile another hart has the cache flushed, and fills it with other code.
    for (unsigned i = 0; shared->generation() == 0 && i < kBlocks; i++)
        shared->translate(ram(), kCode + kBlock * i, kMode);
    ASSERT_EQ(shared->generation(), 1u);
    for (unsigned i = 0; i < 100; i++) shared->translate(ram(), kCode + kBlock * i, kMode);
    shared->translate(ram(), kTarget, kMode);
    std::vector<uint8_t> before(shared->thunk_base(), shared->thunk_base() + shared->host_bytes());
    EXPECT_EQ(run(kTarget), interpret::NativeTier::Next::kGoOn);
    EXPECT_EQ(std::memcmp(before.data(), shared->thunk_base(), before.size()), 0);
}

}  // namespace
}  // namespace doppel::cpu::translate
