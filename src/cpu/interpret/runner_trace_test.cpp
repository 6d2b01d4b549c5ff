#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using testing::ElementsAre;
namespace cause = isa::riscv::cause;
namespace irq = isa::riscv::irq;

// What was told, as short texts; numbers are hexadecimal.
class Notes final : public Trace {
  public:
    using Trace::Trace;
    void instruction(const isa::riscv::Hart& hart, uint32_t bits) override {
        add("insn", hart.pc, hart.retired, isa::riscv::disassemble(bits, hart.pc));
    }
    void access(const isa::riscv::Hart&, const TracedAccess& a) override {
        const std::string kind = a.kind == TracedAccess::Kind::kLoad    ? "load "
                                 : a.kind == TracedAccess::Kind::kStore ? "store "
                                                                        : "atomic ";
        std::string text = kind + hex(a.bytes) + " " + hex(a.address) + " " + hex(a.value);
        if (a.kind == TracedAccess::Kind::kAtomic) text += " " + hex(a.after);
        if (a.physical != a.address) text += " physical " + hex(a.physical);
        add("mem", a.pc, a.retired, text);
    }
    void trap(const isa::riscv::Hart& hart, const TracedTrap& t) override {
        add("trap", t.pc, t.retired, hex(t.cause) + " " + hex(t.tval) + " to " + hex(hart.pc));
    }

    void translation(const isa::riscv::Hart&, const TracedTranslation&) override {}

    void drop_all_but(unsigned kinds) { keep_only(kinds); }

    std::vector<std::string> told;

  private:
    static std::string hex(uint64_t value) {
        std::ostringstream text;
        text << std::hex << value;
        return text.str();
    }
    void add(const std::string& kind, uint64_t pc, uint64_t retired, const std::string& detail) {
        told.push_back(kind + " " + hex(pc - ProgramMachine::kCode) + " " + hex(retired) + ": " + detail);
    }
};

class RunnerTrace : public ::testing::Test, public TestBoard {
  protected:
    void trace(unsigned kinds) {
        notes = std::make_unique<Notes>(kinds);
        vcpu = make_test_vcpu({hart, memory, bus, time, notes.get()});
        reg(reg::kA1) = kData;
    }
    // The lines from kCode, without the handler's WFI and what belongs to the ebreak behind the lines.
    const std::vector<std::string>& told(const std::vector<std::string>& lines) {
        execute(lines);
        return notes->told;
    }
    std::unique_ptr<Notes> notes;
};

TEST_F(RunnerTrace, TellsEachInstructionBeforeItRuns) {
    trace(trace_kind::kInstructions);
    EXPECT_THAT(told({"addi a0, zero, 2", "c.addi a0, -1", "bne a0, zero, " + std::to_string(kCode + 4)}),
                ElementsAre("insn 0 0: addi a0, zero, 2", "insn 4 1: c.addi a0, -1",
                            "insn 6 2: bne a0, zero, 0x80001004", "insn 4 3: c.addi a0, -1",
                            "insn 6 4: bne a0, zero, 0x80001004", "insn a 5: ebreak", "insn fffffffffffff800 5: wfi"));
}

TEST_F(RunnerTrace, TellsLoadsAndStoresWithTheirValues) {
    trace(trace_kind::kMemory);
    EXPECT_THAT(told({"addi a0, zero, -2", "sw a0, 4(a1)", "lhu a2, 4(a1)", "lb a3, 5(a1)", "sd a0, -4(a1)"}),
                ElementsAre("mem 4 1: store 4 80100004 fffffffe", "mem 8 2: load 2 80100004 fffe",
                            "mem c 3: load 1 80100005 ff", "mem 10 4: store 8 800ffffc fffffffffffffffe"));
}

TEST_F(RunnerTrace, TellsEveryAccessToAPageAgain) {
    trace(trace_kind::kMemory);
    execute({"addi a0, zero, 1000", "sd a0, 0(a1)", "ld a2, 0(a1)", "addi a0, a0, -1",
             "bne a0, zero, " + std::to_string(kCode + 4)});
    EXPECT_EQ(notes->told.size(), 2000u);
}

TEST_F(RunnerTrace, TellsAtomicsWithWhatWasThereAndWhatIsThereNow) {
    trace(trace_kind::kMemory);
    store<uint64_t>(kData, 5);
    EXPECT_THAT(
        told({"addi a0, zero, 3", "amoadd.w a0, a0, (a1)", "lr.d a2, (a1)", "sc.d a3, a0, (a1)", "sc.d a3, a2, (a1)"}),
        ElementsAre("mem 4 1: atomic 4 80100000 5 8", "mem 8 2: atomic 8 80100000 8 8",
                    "mem c 3: atomic 8 80100000 8 5", "mem 10 4: atomic 8 80100000 5 5"));
}

TEST_F(RunnerTrace, TellsDevicesAccessesAndZeroedBlocks) {
    trace(trace_kind::kMemory);
    device.value = 0x1234;
    reg(reg::kA2) = kDevice;
    reg(reg::kA3) = kData + 70;
    EXPECT_THAT(
        told({"lw a0, 8(a2)", "sw a0, 16(a2)", "cbo.zero (a3)"}),
        ElementsAre("mem 0 0: load 4 10000008 1234", "mem 4 1: store 4 10000010 1234", "mem 8 2: store 40 80100040 0"));
}

TEST_F(RunnerTrace, TellsNoAccessThatFaults) {
    trace(trace_kind::kMemory | trace_kind::kTraps);
    reg(reg::kA2) = kNowhere;
    EXPECT_EQ(run({"addi a0, zero, 0", "amoadd.d a0, a0, (a2)"}).cause, cause::kStoreAccess);
    EXPECT_EQ(run({"ld a0, 0(a2)"}).cause, cause::kLoadAccess);
    EXPECT_THAT(notes->told, ElementsAre("trap 4 1: 7 70000000 to 80000800", "trap 0 2: 5 70000000 to 80000800"));
}

TEST_F(RunnerTrace, TellsTrapsAtFullSpeedWithExactCounts) {
    trace(trace_kind::kTraps);
    EXPECT_THAT(told({"addi a0, zero, 1", "addi a0, a0, 1", "addi a0, a0, 1"}),
                ElementsAre("trap c 3: 3 8000100c to 80000800"));
    hart.pc = kNowhere;
    EXPECT_EQ(run().cause, cause::kFetchAccess);
    EXPECT_EQ(notes->told.size(), 2u);
}

TEST_F(RunnerTrace, TellsInterruptsOnlyToWhomWantsThem) {
    for (unsigned kinds : {trace_kind::kInterrupts, trace_kind::kTraps}) {
        trace(kinds);
        put(kHandler, {"wfi", "jal zero, " + std::to_string(kHandler)});
        put(kCode, {"addi a0, zero, 1"});
        hart.pc = kCode;
        hart.csr.mie = irq::bit(irq::kMachineSoftware);
        hart.csr.mstatus |= isa::riscv::mstatus::kMie;
        hart.lines = irq::bit(irq::kMachineSoftware);
        vcpu->notify();
        EXPECT_EQ(vcpu->run(100), ExitReason::kBudget) << "the WFI does not wait";
        if (kinds == trace_kind::kInterrupts) {
            EXPECT_THAT(notes->told, ElementsAre("trap 0 0: 8000000000000003 0 to 80000800"));
        } else {
            EXPECT_TRUE(notes->told.empty());
        }
    }
}

TEST_F(RunnerTrace, ChangesNothingOfWhatAProgramDoes) {
    const std::vector<std::string> program{"addi a0, zero, 100", "amoadd.d a2, a0, (a1)",
                                           "ld a3, 0(a1)",       "fcvt.d.l fa0, a3, rne",
                                           "addi a0, a0, -1",    "bne a0, zero, " + std::to_string(kCode + 4)};
    TestBoard plain;
    Notes all(trace_kind::kInstructions | trace_kind::kMemory | trace_kind::kTraps | trace_kind::kInterrupts);
    vcpu = make_test_vcpu({hart, memory, bus, time, &all});
    for (TestBoard* board : {static_cast<TestBoard*>(this), &plain}) {
        board->reg(reg::kA1) = kData;
        board->execute(program);
    }
    EXPECT_EQ(hart.x, plain.hart.x);
    EXPECT_EQ(hart.f, plain.hart.f);
    EXPECT_EQ(hart.retired, plain.hart.retired);
    EXPECT_EQ(load<uint64_t>(kData), plain.load<uint64_t>(kData));
}

TEST_F(RunnerTrace, SpendsExactlyItsBudget) {
    trace(trace_kind::kInstructions);
    put(kCode, {"jal zero, " + std::to_string(kCode)});
    hart.pc = kCode;
    for (uint64_t budget : {1, 2, 63, 64, 65, 1023, 1024, 1025, 5000}) {
        uint64_t before = hart.retired;
        notes->told.clear();
        EXPECT_EQ(vcpu->run(budget), ExitReason::kBudget);
        EXPECT_EQ(hart.retired - before, budget);
        EXPECT_EQ(notes->told.size(), budget);
    }
}

TEST_F(RunnerTrace, TellsOfSingleSteps) {
    trace(trace_kind::kInstructions | trace_kind::kMemory);
    put(kCode, {"ld a0, 0(a1)"});
    hart.pc = kCode;
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_THAT(notes->told, ElementsAre("insn 0 0: ld a0, 0(a1)", "mem 0 0: load 8 80100000 0"));
}

TEST_F(RunnerTrace, EndsWhenNobodyWantsItAnyMore) {
    trace(trace_kind::kInstructions | trace_kind::kMemory | trace_kind::kTraps);
    execute({"ld a0, 0(a1)"});
    notes->drop_all_but(trace_kind::kTraps);
    notes->told.clear();
    EXPECT_EQ(run({"ld a0, 0(a1)"}).cause, cause::kBreakpoint);
    EXPECT_EQ(notes->told.size(), 1u) << "the trap";
}

TEST_F(RunnerTrace, TellsPhysicalAddressesAsTheAccessWasTranslated) {
    trace(trace_kind::kMemory);
    // Sv39, one gigapage: M-mode reaches it only by MPRV.
    constexpr uint64_t kVirtual = 0x40'0000'0000 - (uint64_t{1} << 30);
    store<uint64_t>(kTables + 8 * 255, kRam >> 2 | 0xcf);
    hart.csr.satp = uint64_t{8} << 60 | kTables >> 12;
    hart.csr.mstatus |= isa::riscv::mstatus::kMprv | uint64_t{1} << 11;
    hart.translation_version++;
    reg(reg::kA1) = kVirtual + (kData - kRam) + 0xffc;
    store<uint64_t>(kData + 0xffc, 0x1122'3344'5566'7788);
    EXPECT_THAT(told({"ld a0, 0(a1)", "amoswap.w zero, zero, (a1)", "cbo.zero (a1)"}),
                ElementsAre("mem 0 0: load 8 3fc0100ffc 1122334455667788 physical 80100ffc",
                            "mem 4 1: atomic 4 3fc0100ffc 55667788 0 physical 80100ffc",
                            "mem 8 2: store 40 3fc0100fc0 0 physical 80100fc0"));
}

TEST_F(RunnerTrace, StopsAtBreakpointsAndWatchpointsAllTheSame) {
    trace(trace_kind::kInstructions);
    put(put(kCode, {"addi a0, zero, 1", "sd a0, 0(a1)", "addi a0, a0, 1"}), {"ebreak"});
    hart.pc = kCode;
    Watchpoint point{kData, kData + 7, false, true};
    vcpu->set_debug_points(std::make_shared<DebugPoints>(std::vector<uint64_t>{kCode + 8}, std::vector{point}));
    EXPECT_EQ(vcpu->run(100), ExitReason::kWatchpoint);
    EXPECT_EQ(hart.pc, kCode + 8);
    EXPECT_EQ(vcpu->run(100), ExitReason::kBreakpoint);
    EXPECT_EQ(vcpu->step(), ExitReason::kBudget);
    EXPECT_THAT(notes->told,
                ElementsAre("insn 0 0: addi a0, zero, 1", "insn 4 1: sd a0, 0(a1)", "insn 8 2: addi a0, a0, 1"));
}

}  // namespace
}  // namespace doppel::cpu::interpret
