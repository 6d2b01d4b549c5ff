#include <gtest/gtest.h>

#include "base/saved_state.h"
#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
namespace cause = isa::riscv::cause;
namespace irq = isa::riscv::irq;
namespace pte = isa::riscv::pte;

class RunnerDevice : public ::testing::Test, public TestBoard {
  protected:
    RunnerDevice() { reg(reg::kA1) = kDevice; }
    // Whether the program reached its end.
    bool completes(const std::vector<std::string>& program) {
        hart.privilege = start;
        Trap trap = hart.csr.satp == 0 ? run(program) : run_translated(program);
        trap_ = trap;
        return trap.cause == cause::kBreakpoint;
    }
    Trap run_translated(const std::vector<std::string>& program) {
        put(put(kCode, program), {"ebreak"});
        vcpu->request_instruction_fence();
        hart.pc = kCode;
        return run();
    }

    Privilege start = Privilege::kMachine;
    Trap trap_{};
};

TEST_F(RunnerDevice, SeesEachAccessOnceWithItsWidthAndOffset) {
    EXPECT_TRUE(completes({"lb a0, 3(a1)", "lhu a2, 6(a1)", "lw a3, 4(a1)", "ld a4, 8(a1)"}));
    EXPECT_EQ(reg(reg::kA0), 0xffff'ffff'ffff'ff88) << "sign-extended";
    EXPECT_EQ(reg(reg::kA2), 0x8788u);
    EXPECT_EQ(reg(reg::kA3), 0xffff'ffff'8586'8788);
    EXPECT_EQ(reg(reg::kA4), device.value);
    EXPECT_TRUE(completes({"sb a4, 1(a1)", "sh a4, 2(a1)", "sw a4, 4(a1)", "sd a4, 16(a1)"}));
    std::vector<TestDevice::Access> expected = {
        {false, 3, 1, 0x88}, {false, 6, 2, 0x8788}, {false, 4, 4, 0x8586'8788}, {false, 8, 8, device.value},
        {true, 1, 1, 0x88},  {true, 2, 2, 0x8788},  {true, 4, 4, 0x8586'8788},  {true, 16, 8, device.value},
    };
    EXPECT_EQ(device.accesses, expected);
}

TEST_F(RunnerDevice, TakesNoMisalignedCrossingOrAtomicAccesses) {
    struct {
        const char* line;
        uint64_t offset, cause;
    } cases[] = {
        {"lw a0, 0(a1)", 2, cause::kLoadAccess},       {"ld a0, 0(a1)", 4, cause::kLoadAccess},
        {"sh a0, 0(a1)", 1, cause::kStoreAccess},      {"sd a0, 0(a1)", 7, cause::kStoreAccess},
        {"ld a0, 0(a1)", 0xffc, cause::kLoadAccess},   {"sd a0, 0(a1)", 0xffc, cause::kStoreAccess},
        {"lw a0, 0(a1)", 0x1ffe, cause::kLoadAccess},  {"lr.w a0, (a1)", 0, cause::kLoadAccess},
        {"sc.d a0, a0, (a1)", 0, cause::kStoreAccess}, {"amoadd.w a0, a0, (a1)", 0, cause::kStoreAccess},
    };
    for (const auto& one : cases) {
        reg(reg::kA1) = kDevice + one.offset;
        EXPECT_FALSE(completes({one.line}));
        EXPECT_EQ(trap_, (Trap{one.cause, kCode, kDevice + one.offset})) << one.line << std::hex << one.offset;
    }
    EXPECT_TRUE(device.accesses.empty());
}

TEST_F(RunnerDevice, LimitsWidthsByItsMapping) {
    TestDevice narrow;
    ASSERT_TRUE(bus.map(0x2000'0000, 0x100, narrow, {4, 4}).has_value());
    reg(reg::kA1) = 0x2000'0000;
    EXPECT_TRUE(completes({"lw a0, 0(a1)", "sw a0, 4(a1)"}));
    for (const char* line : {"lb a0, 0(a1)", "lh a0, 0(a1)", "ld a0, 0(a1)"}) {
        EXPECT_FALSE(completes({line}));
        EXPECT_EQ(trap_.cause, cause::kLoadAccess);
    }
    EXPECT_FALSE(completes({"sd a0, 0(a1)"}));
    EXPECT_EQ(trap_.cause, cause::kStoreAccess);
    EXPECT_FALSE(completes({"lw a0, 0x100(a1)"}));
    EXPECT_EQ(narrow.accesses.size(), 2u);
}

TEST_F(RunnerDevice, IsReachedThroughTranslationWithTheFaultsOfThePage) {
    isa::riscv::TestPageTables tables(memory, kTables);
    constexpr uint64_t kVa = 0x4000'0000;
    tables.map(kCode, kCode, pte::kAll);
    tables.map(kVa, kDevice + 0x1000, pte::kRead);
    hart.csr.satp = tables.satp();
    start = Privilege::kSupervisor;
    reg(reg::kA1) = kVa;
    EXPECT_TRUE(completes({"ld a0, 8(a1)"}));
    EXPECT_EQ(device.accesses.back().offset, 0x1008u);
    EXPECT_FALSE(completes({"sd a0, 8(a1)"}));
    EXPECT_EQ(trap_, (Trap{cause::kStorePage, kCode, kVa + 8}));
    EXPECT_EQ(device.accesses.size(), 1u);
}

TEST_F(RunnerDevice, CanInterruptTheHartThatWritesIt) {
    device.on_write = [&](uint64_t) {
        hart.lines.fetch_or(irq::bit(irq::kMachineExternal));
        vcpu->notify();
    };
    put(kHandler, {"csrrw zero, mie, zero", "wfi"});  // so that the interrupt does not end the wait
    hart.csr.mie = irq::bit(irq::kMachineExternal);
    hart.csr.mstatus |= isa::riscv::mstatus::kMie;
    EXPECT_FALSE(completes({"sw a0, 0(a1)", "jal zero, 0x80001004"}));
    EXPECT_EQ(trap_.cause, cause::kInterrupt | irq::kMachineExternal);
    EXPECT_EQ(trap_.pc, kCode + 4);
}

// ---- Saved state

class RunnerState : public RunnerDevice {
  protected:
    static std::vector<uint8_t> saved(isa::riscv::Hart& hart) {
        StateWriter writer;
        hart.fields(writer);
        return writer.finish();
    }
    void restore(const std::vector<uint8_t>& document) {
        auto reader = StateReader::parse(document);
        ASSERT_TRUE(reader.has_value());
        hart.fields(*reader);
        ASSERT_TRUE(reader->finish("restore hart").has_value());
    }
};

TEST_F(RunnerState, GoesOnFromASaveExactlyAsWithoutIt) {
    std::vector<std::string> program = {"addi a0, a0, 3", "mul a2, a0, a0",           "sd a2, 0(a3)",
                                        "ld a4, 0(a3)",   "csrrs a5, minstret, zero", "jal zero, 0x80001000"};
    TestBoard straight;
    for (TestBoard* board : {static_cast<TestBoard*>(this), &straight}) {
        board->put(kCode, program);
        board->reg(reg::kA1) = 0, board->reg(reg::kA3) = kPage;
    }
    straight.vcpu->run(10'000);
    vcpu->run(3333);
    std::vector<uint8_t> document = saved(hart);
    vcpu->run(500);
    restore(document);
    vcpu->run(10'000 - 3333);
    EXPECT_EQ(saved(hart), saved(straight.hart));
}

TEST_F(RunnerState, RestoredStateUsesNoTranslationAndNoCodeOfBefore) {
    isa::riscv::TestPageTables tables(memory, kTables);
    constexpr uint64_t kVa = 0x4000'0000;
    tables.map(kCode, kCode, pte::kAll);
    tables.map(kVa, kPage, pte::kAll);
    store<uint64_t>(kPage, 1), store<uint64_t>(kPage + kPageBytes, 2);
    put(kCode, {"ld a0, 0(a1)", "addi a2, zero, 1", "ebreak"});
    hart.csr.satp = tables.satp();
    hart.privilege = Privilege::kSupervisor;
    reg(reg::kA1) = kVa;
    std::vector<uint8_t> document = saved(hart);
    run();
    EXPECT_EQ(reg(reg::kA0), 1u);
    // What comes with the state: memory in which tables and code are others.
    tables.map(kVa, kPage + kPageBytes, pte::kAll);
    put(kCode, {"ld a0, 0(a1)", "addi a2, zero, 2", "ebreak"});
    restore(document);
    run();
    EXPECT_EQ(reg(reg::kA0), 2u);
    EXPECT_EQ(reg(reg::kA2), 2u);
}

TEST_F(RunnerState, RestoredEndsTheReservation) {
    put(kCode, {"lr.d a0, (a1)", "sc.d a2, a0, (a1)", "ebreak"});
    reg(reg::kA1) = kPage;
    vcpu->run(1);
    restore(saved(hart));
    run();
    EXPECT_EQ(reg(reg::kA2), 1u);
}

TEST_F(RunnerState, OddPcIsNone) {
    put(kCode, {"addi a0, zero, 1", "ebreak"});
    hart.pc = kCode + 1;
    EXPECT_EQ(run().pc, kCode + 4);
    EXPECT_EQ(reg(reg::kA0), 1u);
}

}  // namespace
}  // namespace doppel::cpu::interpret
