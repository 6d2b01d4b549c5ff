// Stores to pages that hold translated code: what a native tier is told of them, and when.
#include <gtest/gtest.h>

#include "cpu/interpret/program_machine.h"
#include "cpu/interpret/runner.h"

namespace doppel::cpu::interpret {
namespace {

// Translates nothing. Another hart's fence.i, which takes what is noted so far, comes whenever a write is announced:
// before its store.
class FencingTier final : public NativeTier {
  public:
    explicit FencingTier(const memory::GuestMemory& memory) : memory_(memory) {}

    Next run(const CodePlace&, SoftTlb&, int64_t&) override { return Next::kInterpretBlock; }
    void translate(const CodePlace&) override {}
    void context_changed(uint32_t) override {}
    void drop_jumps() override {}
    void drop_jumps_to(uint64_t) override {}
    void fence_instructions() override {}
    void begin() override {}
    void end() override {}
    void note_code_write(uint64_t physical) override {
        announced++;
        const memory::Region* region = memory_.find(physical, 1);
        ASSERT_NE(region, nullptr);
        memory::GuestMemory::take_code_written(*region, physical);
    }
    uint64_t instructions() const override { return 0; }
    void add_statistics(Statistics&) const override {}

    unsigned announced = 0;

  private:
    const memory::GuestMemory& memory_;
};

struct CodeWrites : testing::Test, ProgramMachine {
    CodeWrites() {
        auto runner = std::make_unique<Runner>(VcpuParts{hart, memory, bus, time});
        auto made = std::make_unique<FencingTier>(memory);
        tier = made.get();
        constexpr uint32_t kHot = 1000;
        runner->set_native_tier(std::move(made), kHot);
        vcpu = std::move(runner);
        for (uint64_t page : {kFirst, kSecond}) memory::GuestMemory::note_code(ram(), page, true);
        x("a1") = kFirst;
        x("a2") = 0x1122'3344'5566'7788;
    }
    const memory::Region& ram() { return *memory.find(kFirst, 1); }
    bool is_written(uint64_t page) { return memory::GuestMemory::take_code_written(ram(), page); }

    static constexpr uint64_t kFirst = kData, kSecond = kData + isa::riscv::kPageBytes;
    FencingTier* tier = nullptr;
};

TEST_F(CodeWrites, ByAStoreAreNotedBehindIt) {
    execute({"sd a2, 8(a1)"});
    EXPECT_EQ(tier->announced, 1u);
    EXPECT_EQ(load<uint64_t>(kFirst + 8), x("a2"));
    EXPECT_TRUE(is_written(kFirst));
    EXPECT_FALSE(is_written(kSecond));
}

TEST_F(CodeWrites, ByAStoreToTwoPagesAreNotedBehindIt) {
    x("a1") = kSecond - 4;
    execute({"sd a2, 0(a1)"});
    EXPECT_EQ(tier->announced, 2u);
    EXPECT_TRUE(is_written(kFirst));
    EXPECT_TRUE(is_written(kSecond));
}

TEST_F(CodeWrites, ByAnAtomicAreNotedBehindIt) {
    execute({"amoadd.d a0, a2, (a1)"});
    EXPECT_EQ(tier->announced, 1u);
    EXPECT_EQ(load<uint64_t>(kFirst), x("a2"));
    EXPECT_TRUE(is_written(kFirst));
}

TEST_F(CodeWrites, ByAStoreConditionalAreNotedBehindIt) {
    execute({"lr.w a0, (a1)", "sc.w a3, a2, (a1)"});
    EXPECT_EQ(x("a3"), 0u);
    EXPECT_EQ(load<uint32_t>(kFirst), 0x5566'7788u);
    EXPECT_TRUE(is_written(kFirst));
}

TEST_F(CodeWrites, ByZeroingACacheBlockAreNotedBehindIt) {
    store<uint64_t>(kFirst, 1);
    is_written(kFirst);
    execute({"cbo.zero (a1)"});
    EXPECT_EQ(load<uint64_t>(kFirst), 0u);
    EXPECT_TRUE(is_written(kFirst));
}

// An atomic that is not to such a page announces nothing, and the next one is not taken for the last.
TEST_F(CodeWrites, AreNotThoseToOtherPages) {
    execute({"amoadd.d a0, a2, (a1)"});
    EXPECT_TRUE(is_written(kFirst));
    x("a1") = kSecond + isa::riscv::kPageBytes;
    execute({"amoadd.d a0, a2, (a1)", "amoadd.d a0, a2, (a1)", "sd a2, 0(a1)"});
    EXPECT_EQ(tier->announced, 1u);
    EXPECT_FALSE(is_written(kFirst));
    EXPECT_FALSE(is_written(kSecond));
}

}  // namespace
}  // namespace doppel::cpu::interpret
