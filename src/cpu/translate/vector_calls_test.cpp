// Vector instructions in translated code: what does not need the interpreter, and what it goes on with.
#include <gtest/gtest.h>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::translate {
namespace {

namespace cause = isa::riscv::cause;
namespace mstatus = isa::riscv::mstatus;
using interpret::TestDevice;
using interpret::Trap;

struct VectorInstructions : testing::Test, interpret::TestBoard {
    VectorInstructions() {
        hart.vector.reset(128);
        hart.csr.mstatus |= mstatus::kVs;
    }
    uint64_t count(std::string_view name) const {
        Statistics statistics;
        vcpu->add_statistics(statistics);
        return statistics.count(name);
    }
    static std::string at(uint64_t address) { return std::to_string(address); }
    // `lines` a thousand times; a0 and a1 count.
    std::vector<std::string> loop(std::vector<std::string> lines) {
        x("a0") = 0, x("a1") = 1000;
        lines.insert(lines.end(), {"addi a0, a0, 1", "bltu a0, a1, " + at(kCode)});
        return lines;
    }
    void fill(uint64_t address, unsigned bytes) {
        for (unsigned i = 0; i < bytes; i++) store(address + i, byte(i));
    }
    static uint8_t byte(uint64_t i) { return static_cast<uint8_t>(i * 7 + 1); }
    uint8_t element(unsigned reg, unsigned i) const { return hart.vector.registers[16 * reg + i]; }
};

TEST_F(VectorInstructions, LeaveNothingToTheInterpreter) {
    fill(kData, 64);
    x("a2") = kData, x("a3") = kData + 0x1000, x("a4") = 10, x("a5") = 4;
    f("fa0") = 0xffff'ffff'4000'0000;
    execute(loop({"vsetvli t0, a4, e32, m1, ta, ma", "vle32.v v8, (a2)", "vadd.vv v8, v8, v8", "vse32.v v8, (a3)",
                  "vfmul.vf v9, v8, fa0", "vmseq.vv v0, v8, v8", "vlse32.v v10, (a2), a5, v0.t", "vmv.x.s a6, v8",
                  "vl1re8.v v11, (a2)", "vle8ff.v v12, (a2)", "vsetivli t1, 3, e64, m2, ta, ma", "vfmv.f.s fa1, v8"}));
    EXPECT_EQ(x("a0"), 1000u);
    EXPECT_EQ(x("t0"), 4u);
    EXPECT_EQ(x("t1"), 3u);
    EXPECT_EQ(load<uint32_t>(kData + 0x1004), 2 * load<uint32_t>(kData + 4));
    EXPECT_EQ(x("a6"), static_cast<uint64_t>(int64_t{static_cast<int32_t>(2 * load<uint32_t>(kData))}));
    EXPECT_EQ(f("fa1"), load<uint64_t>(kData + 0x1000));
    EXPECT_EQ(element(11, 15), byte(15));
    EXPECT_LT(count("interpreted_instructions"), 100u);
    EXPECT_EQ(count("exits_interpret"), 0u);
}

// The elements before are done, and what translated code did is not done again.
TEST_F(VectorInstructions, TrapAtTheElementWithThoseBeforeItDone) {
    fill(kRamEnd - 9, 9);
    x("a2") = kRamEnd - 9, x("a4") = 16;
    Trap trap = run({"vsetvli t0, a4, e8, m1, ta, ma", "vle8.v v8, (a2)"});
    EXPECT_EQ(trap, (Trap{cause::kLoadAccess, kCode + 4, kRamEnd}));
    EXPECT_EQ(hart.vector.vstart, 9u);
    EXPECT_EQ(element(8, 8), byte(8));
    EXPECT_EQ(element(8, 9), 0);
    trap = run({"csrrwi zero, vstart, 0", "addi a3, a2, -16", "vse8.v v8, (a2)"});
    EXPECT_EQ(trap, (Trap{cause::kStoreAccess, kCode + 8, kRamEnd}));
    EXPECT_EQ(hart.vector.vstart, 9u);
    EXPECT_EQ(load<uint8_t>(kRamEnd - 1), byte(8));
}

TEST_F(VectorInstructions, EndTheVectorWhereALoadBehindTheFirstElementWouldTrap) {
    fill(kRamEnd - 5, 5);
    x("a2") = kRamEnd - 5, x("a4") = 16;
    execute(loop({"vsetvli t0, a4, e8, m1, ta, ma", "vle8ff.v v8, (a2)", "csrrs a5, vl, zero"}));
    EXPECT_EQ(x("a5"), 5u);
    EXPECT_EQ(element(8, 4), byte(4));
    EXPECT_EQ(hart.vector.vstart, 0u);
}

TEST_F(VectorInstructions, CrossPages) {
    fill(kData + 0x1000 - 6, 16);
    x("a2") = kData + 0x1000 - 6, x("a3") = kData + 0x3000 - 6, x("a4") = 16;
    execute(loop({"vsetvli t0, a4, e32, m1, ta, ma", "vle32.v v8, (a2)", "vse32.v v8, (a3)"}));
    for (unsigned i = 0; i < 16; i++) EXPECT_EQ(load<uint8_t>(kData + 0x3000 - 6 + i), byte(i)) << i;
}

TEST_F(VectorInstructions, AccessEachElementOfADeviceOnce) {
    x("a2") = kDevice, x("a3") = kDevice + 0x100, x("a4") = 2;
    execute({"vsetvli t0, a4, e64, m1, ta, ma", "addi a5, zero, 1", "vle64.v v8, (a2)", "vse64.v v8, (a3)"});
    const std::vector<TestDevice::Access> expected = {{false, 0, 8, device.value},
                                                      {false, 8, 8, device.value},
                                                      {true, 0x100, 8, device.value},
                                                      {true, 0x108, 8, device.value}};
    EXPECT_EQ(device.accesses, expected);
}

// Half of the elements go to memory before the device's, and are not read from there again.
TEST_F(VectorInstructions, GoOnAtTheElementThatIsADevices) {
    x("a2") = kData, x("a4") = 2;
    store<uint64_t>(kData, 0x1234);
    store<uint64_t>(kData + 0x100, 0), store<uint64_t>(kData + 0x108, kDevice - kData);
    x("a3") = kData + 0x100;
    execute({"vsetvli t0, a4, e64, m1, ta, ma", "vle64.v v9, (a3)", "vluxei64.v v8, (a2), v9"});
    EXPECT_EQ(hart.vector.registers[size_t{16} * 8], 0x34);
    EXPECT_EQ(element(8, 8), 0x88);
    EXPECT_EQ(device.accesses.size(), 1u);
    EXPECT_EQ(hart.vector.vstart, 0u);
}

TEST_F(VectorInstructions, WriteCodeThatRunsAfterItsFence) {
    constexpr uint64_t kOther = kCode + 0x2000;
    put(kOther, {"addi a5, zero, 1", "addi a5, a5, 1", "jalr zero, 0(ra)", "addi zero, zero, 0"});
    store<uint32_t>(kData, assemble("addi a5, zero, 5"));
    store<uint32_t>(kData + 4, assemble("addi a5, a5, 2"));
    x("a2") = kData, x("a3") = kOther, x("a4") = 2;
    execute({"jalr ra, 0(a3)", "jalr ra, 0(a3)", "addi a6, a5, 0", "vsetvli t0, a4, e32, m1, ta, ma",
             "vle32.v v8, (a2)", "vse32.v v8, (a3)", "fence.i", "jalr ra, 0(a3)"});
    EXPECT_EQ(x("a6"), 2u);
    EXPECT_EQ(x("a5"), 7u);
}

TEST_F(VectorInstructions, AreIllegalWhereTheyAreWithoutTheUnit) {
    hart.csr.mstatus &= ~mstatus::kVs;
    EXPECT_EQ(run({"addi a3, zero, 3", "vsetvli t0, a4, e8, m1, ta, ma"}),
              illegal(kCode + 4, assemble("vsetvli t0, a4, e8, m1, ta, ma")));
    EXPECT_EQ(x("a3"), 3u);
    hart.csr.mstatus |= mstatus::kVs;
    Trap off = run({"vsetivli t0, 3, e8, m1, ta, ma", "addi a4, t0, 1", "vadd.vv v9, v8, v8", "addi a3, zero, 4",
                    "vadd.vv v9, v8, v8, v0.t", "vadd.vv v0, v8, v8, v0.t"});
    EXPECT_EQ(off, illegal(kCode + 20, assemble("vadd.vv v0, v8, v8, v0.t"))) << "masked onto the mask";
    EXPECT_EQ(x("a3"), 4u);
    EXPECT_EQ(x("a4"), 4u);
}

TEST_F(VectorInstructions, MakeTheirStateDirty) {
    constexpr uint64_t kClean = uint64_t{2} << 9;
    x("a2") = mstatus::kVs, x("a3") = kClean;
    execute({"csrrc zero, mstatus, a2", "csrrs zero, mstatus, a3", "vsetivli t0, 3, e8, m1, ta, ma",
             "csrrs a4, mstatus, zero"});
    EXPECT_EQ(x("a4") & mstatus::kVs, mstatus::kVs);
}

}  // namespace
}  // namespace doppel::cpu::translate
