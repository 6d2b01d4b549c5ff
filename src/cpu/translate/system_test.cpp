// System instructions in translated code: what does not need the interpreter, and what they change on the way.
#include <gtest/gtest.h>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::translate {
namespace {

namespace cause = isa::riscv::cause;
namespace envcfg = isa::riscv::envcfg;
namespace irq = isa::riscv::irq;
namespace mstatus = isa::riscv::mstatus;
using interpret::Trap;
using isa::riscv::Privilege;

struct SystemInstructions : testing::Test, interpret::ProgramMachine {
    uint64_t count(std::string_view name) const {
        Statistics statistics;
        vcpu->add_statistics(statistics);
        return statistics.count(name);
    }
    static std::string at(uint64_t address) { return std::to_string(address); }
    // `lines` a thousand times; a0 and a1 count.
    void loop(std::vector<std::string> lines) {
        x("a0") = 0, x("a1") = 1000;
        lines.insert(lines.end(), {"addi a0, a0, 1", "bltu a0, a1, " + at(kCode)});
        execute(lines);
        EXPECT_EQ(x("a0"), 1000u);
    }
};

TEST_F(SystemInstructions, ThatAreFrequentLeaveNothingToTheInterpreter) {
    x("a2") = kData + 8, x("a3") = mstatus::kSie;
    loop({"csrrci a4, sstatus, 2", "csrrs zero, sstatus, a3", "csrrs a5, time, zero", "csrrw zero, sscratch, a0",
          "csrrs a6, instret, zero", "cbo.zero (a2)", "sfence.vma a2, zero", "fence.i"});
    EXPECT_LT(count("interpreted_instructions"), 50u);
    EXPECT_EQ(hart.csr.sscratch, 999u);
    EXPECT_EQ(x("a4") & mstatus::kSie, mstatus::kSie);
    EXPECT_EQ(count("translation_fences"), 1000u);
}

TEST_F(SystemInstructions, CountTheInstructionsBeforeThem) {
    loop({"csrrs a2, instret, zero", "addi a4, a4, 0", "csrrs a3, instret, zero", "sub a5, a3, a2"});
    EXPECT_EQ(x("a5"), 2u);
    EXPECT_EQ(count("instructions"), 6001u);
}

TEST_F(SystemInstructions, ZeroWholeBlocksWhereverTheAddressPointsIntoThem) {
    for (uint64_t i = 0; i < 24; i++) store<uint64_t>(kData + 8 * i, i + 1);
    x("a2") = kData + 64 + 63;
    loop({"cbo.zero (a2)"});
    for (uint64_t i = 0; i < 24; i++) EXPECT_EQ(load<uint64_t>(kData + 8 * i), i < 8 || i >= 16 ? i + 1 : 0);
}

TEST_F(SystemInstructions, ZeroBlocksOnlyWhileThatIsEnabled) {
    const std::string zero = "cbo.zero (a2)";
    x("a2") = kData;
    put(kCode, {zero, "ebreak"});
    hart.csr.medeleg = 0;
    auto run_in = [&](Privilege privilege) {
        vcpu->request_instruction_fence();
        hart.privilege = privilege;
        hart.pc = kCode;
        return run();
    };
    isa::riscv::pmp_write_address(hart, 0, ~uint64_t{0});
    isa::riscv::pmp_write_config(hart, 0, 0x1f);
    const Trap illegal_here = illegal(kCode, assemble(zero)), done{cause::kBreakpoint, kCode + 4, kCode + 4};
    for (int round = 0; round < 2; round++) {
        hart.csr.menvcfg = hart.csr.senvcfg = 0;
        EXPECT_EQ(run_in(Privilege::kMachine), done);
        EXPECT_EQ(run_in(Privilege::kSupervisor), illegal_here);
        hart.csr.menvcfg = envcfg::kCbze;
        EXPECT_EQ(run_in(Privilege::kSupervisor), done);
        EXPECT_EQ(run_in(Privilege::kUser), illegal_here);
        hart.csr.senvcfg = envcfg::kCbze;
        EXPECT_EQ(run_in(Privilege::kUser), done);
    }
}

TEST_F(SystemInstructions, ReportAFaultAtTheAddressThatWasAskedFor) {
    x("a2") = 0x4000'0007;
    EXPECT_EQ(run({"addi a3, zero, 1", "cbo.zero (a2)"}), (Trap{cause::kStoreAccess, kCode + 4, 0x4000'0007}));
    EXPECT_EQ(x("a3"), 1u);
}

// The interrupt is pending all the time; each enabling is followed by it, before another instruction.
TEST_F(SystemInstructions, LetAnInterruptInAtOnceThatTheyEnable) {
    constexpr uint64_t kTaken = kCode + 0x400;
    hart.csr.mtvec = kTaken;
    hart.csr.mie = irq::bit(irq::kMachineSoftware);
    hart.lines.store(irq::bit(irq::kMachineSoftware));
    put(kHandler, {"csrrw zero, mie, zero", "wfi"});
    // Counts, clears MPIE, and goes on behind what was interrupted.
    put(kTaken, {"csrrs a6, mcause, zero", "bge a6, zero, " + at(kHandler), "addi a2, a2, 1", "addi a5, a4, 0",
                 "csrrw zero, mstatus, a7", "mret"});
    x("a0") = 0, x("a1") = 1000, x("a3") = mstatus::kMie;
    x("a7") = uint64_t{3} << mstatus::kMppShift;
    end = put(kCode, {"addi a4, a0, 0", "csrrs zero, mstatus, a3", "addi a4, zero, -1", "addi a0, a0, 1",
                      "bltu a0, a1, " + at(kCode), "ebreak"}) -
          4;
    vcpu->request_instruction_fence();
    hart.pc = kCode;
    EXPECT_EQ(run(), ebreak());
    EXPECT_EQ(x("a2"), 1000u);
    EXPECT_EQ(x("a5"), 999u) << "instructions behind had run";
}

TEST_F(SystemInstructions, ChangeWhatTheCodeBehindThemPresumes) {
    x("a2") = mstatus::kFs, x("a3") = uint64_t{1} << 13;
    // Clean, then dirty by the write behind; twice, as a block notes its first write only.
    execute({"csrrc zero, mstatus, a2", "csrrs zero, mstatus, a3", "fmv.d.x fa0, zero", "csrrs a4, mstatus, zero",
             "csrrc zero, mstatus, a2", "csrrs zero, mstatus, a3", "fmv.d.x fa1, zero", "csrrs a5, mstatus, zero"});
    EXPECT_EQ(x("a4") & mstatus::kFs, mstatus::kFs);
    EXPECT_EQ(x("a5") & mstatus::kFs, mstatus::kFs);
    Trap off = run({"fmv.d.x fa0, zero", "csrrc zero, mstatus, a2", "fmv.d.x fa1, zero"});
    EXPECT_EQ(off, illegal(kCode + 8, assemble("fmv.d.x fa1, zero")));
    hart.csr.mstatus |= mstatus::kFs;
    // frm: 1 rounds towards zero, 3 up; 1/3 differs in its last bit.
    f("fa0") = 0x3ff0'0000'0000'0000, f("fa1") = 0x4008'0000'0000'0000;
    execute({"csrrwi zero, frm, 1", "fdiv.d fa2, fa0, fa1", "csrrwi zero, frm, 3", "fdiv.d fa3, fa0, fa1",
             "csrrs a4, fcsr, zero", "csrrwi zero, fcsr, 0"});
    EXPECT_EQ(f("fa3"), f("fa2") + 1);
    EXPECT_EQ(x("a4"), 3u << 5 | 1u) << "rounding and inexact";
}

}  // namespace
}  // namespace doppel::cpu::translate
