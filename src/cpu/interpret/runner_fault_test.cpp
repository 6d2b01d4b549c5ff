#include <gtest/gtest.h>

#include <tuple>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
namespace cause = isa::riscv::cause;
namespace pte = isa::riscv::pte;

// By blocks, and instruction by instruction.
class RunnerFault : public ::testing::TestWithParam<bool>, public TestBoard {
  protected:
    static constexpr uint64_t kVa = 0x4000'0000, kNext = kVa + kPageBytes;

    ExitReason go() {
        if (!GetParam()) return vcpu->run(100'000);
        ExitReason reason = ExitReason::kBudget;
        for (int i = 0; i < 1000 && reason == ExitReason::kBudget; i++) reason = vcpu->run(1);
        return reason;
    }
    // Supervisor mode; kCode is mapped where it lies, kVa on kPage.
    void translate() {
        tables.map(kCode, kCode, pte::kAll);
        tables.map(kVa, kPage, pte::kAll);
        hart.csr.satp = tables.satp();
        hart.privilege = Privilege::kSupervisor;
    }
    void expect_wait_at(uint64_t pc) {
        EXPECT_EQ(go(), ExitReason::kWait);
        EXPECT_EQ(hart.pc, pc) << std::hex << hart.csr.mcause << " " << hart.csr.mtval;
    }
    // The trap was taken at `epc` after `retired` instructions.
    void expect_trap(uint64_t trap_cause, uint64_t tval, uint64_t epc, uint64_t retired) {
        EXPECT_EQ(go(), ExitReason::kWait);
        EXPECT_EQ(hart.pc, kHandler + 4);
        EXPECT_EQ(hart.csr.mcause, trap_cause);
        EXPECT_EQ(hart.csr.mtval, tval) << std::hex << hart.csr.mtval;
        EXPECT_EQ(hart.csr.mepc, epc) << std::hex << hart.csr.mepc;
        EXPECT_EQ(hart.retired, retired + 1);
    }
    // One instruction behind two others; a1 is its address operand.
    void expect_faulting(std::string_view instruction, uint64_t address, uint64_t trap_cause, uint64_t tval) {
        put(kCode, {"addi a4, zero, 1", "addi a5, zero, 2", std::string(instruction), "wfi"});
        reg(reg::kA0) = 0x0123'4567'89ab'cdef, reg(reg::kA1) = address;
        hart.pc = kCode;
        hart.retired = 0;
        vcpu->request_instruction_fence();
        if (hart.csr.satp != 0) hart.privilege = Privilege::kSupervisor;
        expect_trap(trap_cause, tval, kCode + 8, 2);
        EXPECT_EQ(reg(reg::kA0), 0x0123'4567'89ab'cdefu) << "the destination is untouched";
    }

    isa::riscv::TestPageTables tables{memory, kTables};
};

INSTANTIATE_TEST_SUITE_P(ByBlocksAndStepwise, RunnerFault, ::testing::Bool());

TEST_P(RunnerFault, FetchOfAnUnmappedPageTellsThePc) {
    translate();
    put(kCode, {"addi a0, zero, 1", "jalr zero, 0(a1)"});
    reg(reg::kA1) = kVa + 0x10'0006;
    expect_trap(cause::kFetchPage, kVa + 0x10'0006, kVa + 0x10'0006, 2);
}

TEST_P(RunnerFault, FetchFromNowhereFromDevicesAndWithoutPermissionIsAnAccessFault) {
    for (uint64_t target : {kNowhere, kDevice, ~uint64_t{0xfff}}) {
        put(kCode, {"jalr zero, 0(a1)"});
        reg(reg::kA1) = target, hart.pc = kCode, hart.retired = 0;
        expect_trap(cause::kFetchAccess, target, target, 1);
    }
    EXPECT_TRUE(device.accesses.empty());
    constexpr uint64_t kLockedNoExecute = 0x9b;
    isa::riscv::pmp_write_address(hart, 0, kPage >> 2 | 0x1ff);
    isa::riscv::pmp_write_config(hart, 0, kLockedNoExecute);
    reg(reg::kA1) = kPage, hart.pc = kCode, hart.retired = 0;
    expect_trap(cause::kFetchAccess, kPage, kPage, 1);
}

TEST_P(RunnerFault, InstructionThatCrossesIntoABadPageFaultsThere) {
    translate();
    uint64_t pc = kNext - 2;
    put(kPage + kPageBytes - 2, {"addi a0, zero, 1"});
    hart.pc = pc;
    expect_trap(cause::kFetchPage, kNext, pc, 0);
    tables.map(kNext, kNowhere, pte::kAll);
    hart.privilege = Privilege::kSupervisor, hart.pc = pc, hart.retired = 0;
    expect_trap(cause::kFetchAccess, kNext, pc, 0);
    EXPECT_EQ(reg(reg::kA0), 0u);
}

TEST_P(RunnerFault, CompressedInstructionAtThePagesEndNeedsNoSecondPage) {
    translate();
    put(kPage + kPageBytes - 2, {"c.li a0, 7"});
    hart.pc = kNext - 2;
    expect_trap(cause::kFetchPage, kNext, kNext, 1);
    EXPECT_EQ(reg(reg::kA0), 7u);
}

TEST_P(RunnerFault, InstructionAcrossTwoPagesIsReadFromBoth) {
    translate();
    constexpr uint64_t kElsewhere = kPage + 0x5000;
    tables.map(kNext, kElsewhere, pte::kAll);
    uint32_t instruction = assemble("addi a0, zero, 1234");
    put_halfword(kPage + kPageBytes - 2, instruction);
    put_halfword(kElsewhere, instruction >> 16);
    put(kElsewhere + 2, {"wfi"});
    hart.pc = kNext - 2;
    expect_wait_at(kNext + 6);
    EXPECT_EQ(reg(reg::kA0), 1234u);
}

TEST_P(RunnerFault, UnmappedDataIsAPageFaultOfTheAccesssKind) {
    translate();
    uint64_t bad = kVa + 0x10'0008;
    for (std::string_view load : {"lb a0, 0(a1)", "ld a0, 0(a1)", "lwu a0, 0(a1)", "lr.d a0, (a1)"}) {
        expect_faulting(load, bad, cause::kLoadPage, bad);
    }
    for (std::string_view store : {"sb a0, 0(a1)", "sd a0, 0(a1)", "amoadd.d a0, a0, (a1)", "sc.w a0, a0, (a1)"}) {
        expect_faulting(store, bad, cause::kStorePage, bad);
    }
    expect_faulting("lw a0, 12(a1)", bad, cause::kLoadPage, bad + 12);
    expect_faulting("lw a0, 0(a1)", uint64_t{1} << 62, cause::kLoadPage, uint64_t{1} << 62);
}

TEST_P(RunnerFault, DataNowhereIsAnAccessFaultOfTheAccesssKind) {
    expect_faulting("ld a0, 0(a1)", kNowhere, cause::kLoadAccess, kNowhere);
    expect_faulting("lr.w a0, (a1)", kNowhere, cause::kLoadAccess, kNowhere);
    expect_faulting("sh a0, 0(a1)", kNowhere, cause::kStoreAccess, kNowhere);
    expect_faulting("amoor.w a0, a0, (a1)", kNowhere, cause::kStoreAccess, kNowhere);
    expect_faulting("ld a0, 0(a1)", ~uint64_t{3}, cause::kLoadAccess, ~uint64_t{3});
}

TEST_P(RunnerFault, RomTakesNoStores) {
    expect_faulting("sb a0, 0(a1)", kRom, cause::kStoreAccess, kRom);
    expect_faulting("amoswap.w a0, a0, (a1)", kRom, cause::kStoreAccess, kRom);
    expect_faulting("sd a0, 0(a1)", kRom + kPageBytes - 3, cause::kStoreAccess, kRom + kPageBytes - 3);
    EXPECT_EQ(word(kRom), 0u);
    put(kCode, {"ld a0, 0(a1)", "sb a0, 0(a1)"});
    vcpu->request_instruction_fence();
    hart.pc = kCode, hart.retired = 0, reg(reg::kA1) = kRom;
    expect_trap(cause::kStoreAccess, kRom, kCode + 4, 1);
    EXPECT_EQ(reg(reg::kA0), 0u);
}

TEST_P(RunnerFault, CrossingLoadFaultsAtTheHalfThatIsBad) {
    translate();
    expect_faulting("ld a0, 0(a1)", kNext - 3, cause::kLoadPage, kNext);
    tables.map(kNext, kNowhere, pte::kAll);
    expect_faulting("lw a0, 0(a1)", kNext - 1, cause::kLoadAccess, kNext);
    tables.map(kNext, kPage, pte::kAll);
    tables.map(kVa, 0, 0);
    vcpu->request_translation_fence();
    expect_faulting("ld a0, 0(a1)", kNext - 3, cause::kLoadPage, kNext - 3);
}

TEST_P(RunnerFault, CrossingStoreThatFaultsInItsSecondPageWritesNothing) {
    translate();
    constexpr uint64_t kLast = kPage + kPageBytes - 8, kBefore = 0x1111'1111'1111'1111;
    store<uint64_t>(kLast, kBefore);
    expect_faulting("sd a0, 0(a1)", kNext - 3, cause::kStorePage, kNext);
    for (auto [physical, flags, trap_cause] :
         {std::tuple{kPage, pte::kRead, cause::kStorePage}, std::tuple{kRom, pte::kAll, cause::kStoreAccess},
          std::tuple{kDevice, pte::kAll, cause::kStoreAccess}, std::tuple{kNowhere, pte::kAll, cause::kStoreAccess}}) {
        tables.map(kNext, physical, flags);
        vcpu->request_translation_fence();
        expect_faulting("sd a0, 0(a1)", kNext - 3, trap_cause, kNext);
        expect_faulting("sh a0, 0(a1)", kNext - 1, trap_cause, kNext);
        EXPECT_EQ(word(kLast), kBefore);
    }
    EXPECT_TRUE(device.accesses.empty());
}

TEST_P(RunnerFault, CrossingAccessesReachBothPages) {
    translate();
    constexpr uint64_t kElsewhere = kPage + 0x5000;
    tables.map(kNext, kElsewhere, pte::kAll);
    for (unsigned before = 1; before < 8; before++) {
        put(kCode, {"sd a0, 0(a1)", "ld a2, 0(a1)", "lh a3, 0(a4)", "wfi"});
        reg(reg::kA0) = 0x8877'6655'4433'2211 + before, reg(reg::kA1) = kNext - before, reg(reg::kA4) = kNext - 1;
        hart.pc = kCode;
        expect_wait_at(kCode + 16);
        EXPECT_EQ(reg(reg::kA2), reg(reg::kA0));
        uint64_t first = word(kPage + kPageBytes - 8) >> (64 - 8 * before), second = word(kElsewhere);
        EXPECT_EQ(first | second << (8 * before), reg(reg::kA0));
        EXPECT_EQ(reg(reg::kA3) & 0xff, reg(reg::kA0) >> (8 * before - 8) & 0xff);
    }
}

TEST_P(RunnerFault, MisalignedAtomicsFaultBeforeAnythingElse) {
    expect_faulting("lr.d a0, (a1)", kPage + 4, cause::kLoadMisaligned, kPage + 4);
    expect_faulting("sc.w a0, a0, (a1)", kPage + 2, cause::kStoreMisaligned, kPage + 2);
    expect_faulting("amomax.d a0, a0, (a1)", kPage + 1, cause::kStoreMisaligned, kPage + 1);
}

TEST_P(RunnerFault, IllegalInstructionTellsItsBits) {
    expect_faulting("csrrs a0, mvendorid, a1", 1, cause::kIllegalInstruction, assemble("csrrs a0, mvendorid, a1"));
    put(kCode, {"addi a0, zero, 5"});
    put_halfword(kCode + 4, 0);
    vcpu->request_instruction_fence();
    hart.pc = kCode, hart.retired = 0;
    expect_trap(cause::kIllegalInstruction, 0, kCode + 4, 1);
    put_halfword(kCode + 4, 0x8000 | 1 << 12 | 3 << 10 | 3 << 5 | 1);  // reserved, 16 bits
    hart.pc = kCode, hart.retired = 0;
    vcpu->request_instruction_fence();
    expect_trap(cause::kIllegalInstruction, 0x9c61, kCode + 4, 1);
}

TEST_P(RunnerFault, BreakpointsAndEnvironmentCallsDoNotRetire) {
    put(kCode, {"addi a0, zero, 5", "ebreak"});
    expect_trap(cause::kBreakpoint, kCode + 4, kCode + 4, 1);
    put(kCode + 0x100, {"c.li a0, 5", "c.ebreak"});
    hart.pc = kCode + 0x100, hart.retired = 0;
    expect_trap(cause::kBreakpoint, kCode + 0x102, kCode + 0x102, 1);
    put(kCode + 0x200, {"ecall"});
    hart.pc = kCode + 0x200, hart.retired = 0;
    expect_trap(cause::kEcallMachine, 0, kCode + 0x200, 0);
}

TEST_P(RunnerFault, EcallFromASupervisorLeavesForTheHostsFirmware) {
    hart.host_firmware = true;
    hart.privilege = Privilege::kSupervisor;
    put(kCode, {"addi a0, zero, 5", "addi a1, zero, 6", "ecall", "addi a0, a0, 1", "wfi"});
    EXPECT_EQ(go(), ExitReason::kFirmwareCall);
    EXPECT_EQ(hart.pc, kCode + 8);
    EXPECT_EQ(hart.retired, 2u);
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_EQ(go(), ExitReason::kFirmwareCall) << "until the firmware moves pc on";
    EXPECT_EQ(hart.retired, 2u);
    hart.pc += 4;
    expect_wait_at(kCode + 20);
    EXPECT_EQ(reg(reg::kA0), 6u);
    EXPECT_EQ(hart.retired, 4u);
}

TEST_P(RunnerFault, TrapsAndReturnsKeepTheCountOfRetiredInstructionsExact) {
    put(kHandler, {"csrrs a2, minstret, zero", "csrrs t0, mepc, zero", "addi t0, t0, 4", "csrrw zero, mepc, t0",
                   "addi a3, a3, 1", "mret"});
    put(kCode, {"addi a0, zero, 1", "ecall", "addi a0, a0, 1", "ecall", "csrrs a4, minstret, zero", "wfi"});
    vcpu->request_instruction_fence();
    expect_wait_at(kCode + 24);
    EXPECT_EQ(reg(reg::kA3), 2u);
    EXPECT_EQ(reg(reg::kA2), 1 + 6 + 1u);
    EXPECT_EQ(reg(reg::kA4), 2 + 2 * 6u);
    EXPECT_EQ(hart.retired, 2 + 2 * 6 + 2u);
}

}  // namespace
}  // namespace doppel::cpu::interpret
