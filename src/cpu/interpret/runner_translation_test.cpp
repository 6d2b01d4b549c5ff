#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "cpu/interpret/test_board.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::Privilege;
namespace cause = isa::riscv::cause;
namespace mstatus = isa::riscv::mstatus;
namespace pte = isa::riscv::pte;

constexpr uint64_t kMega = uint64_t{1} << 21, kGiga = uint64_t{1} << 30;

// Programs run in supervisor mode at kCode, which is mapped where it lies.
class RunnerTranslation : public ::testing::Test, public TestBoard {
  protected:
    static constexpr uint64_t kVa = 0x20'4000'0000, kOther = kPage + 0x40'0000;

    RunnerTranslation() {
        tables.map(kCode, kCode, pte::kAll);
        hart.csr.satp = tables.satp();
        hart.privilege = Privilege::kSupervisor;
    }
    // Runs to a WFI: at the program's end, or at the trap handler.
    void run(const std::vector<std::string>& program) {
        put(kCode, program);
        vcpu->request_instruction_fence();
        go(kCode);
    }
    void go(uint64_t pc) {
        hart.pc = pc;
        EXPECT_EQ(vcpu->run(1'000'000), ExitReason::kWait);
    }
    // What a load from `va` gives; kFault when it trapped.
    static constexpr uint64_t kFault = 0xfa;
    uint64_t loaded(uint64_t va) {
        reg(reg::kA0) = 0, reg(reg::kA1) = va;
        run({"ld a0, 0(a1)", "wfi"});
        return trapped() ? kFault : reg(reg::kA0);
    }
    // Whether the program ended in the handler; then leaves it as a return to supervisor mode would.
    bool trapped() {
        bool in_handler = hart.pc == kHandler + 4;
        if (in_handler) {
            trap_cause = hart.csr.mcause;
            hart.privilege = Privilege::kSupervisor;
        }
        return in_handler;
    }
    // Maps `va` on kPage by `entry(physical)`, uses it, maps it on kOther, does `fence`, and uses it again.
    template <class Entry>
    void expect_fence_takes_effect(uint64_t va, unsigned level, Entry entry, const std::string& fence,
                                   uint64_t fenced) {
        tables.set_entry(va, entry(kPage), level);
        for (uint64_t base : {kPage, kOther}) {
            store<uint64_t>(base, base);
            put(base + 8, {base == kPage ? "addi a3, zero, 1" : "addi a3, zero, 2", "jalr zero, 0(ra)"});
        }
        put(kCode, {"ld a0, 0(a1)", "sd a1, 32(a1)", "jalr ra, 8(a1)", "wfi"});
        put(kCode + 64, {fence, "ld a0, 0(a1)", "sd a1, 40(a1)", "jalr ra, 8(a1)", "wfi"});
        vcpu->request_instruction_fence();
        vcpu->request_translation_fence();
        reg(reg::kA1) = va;
        go(kCode);
        EXPECT_EQ(reg(reg::kA0), kPage);
        EXPECT_EQ(reg(reg::kA3), 1u);
        tables.set_entry(va, entry(kOther), level);
        reg(reg::kA2) = fenced;
        go(kCode + 64);
        EXPECT_EQ(reg(reg::kA0), kOther) << fence;
        EXPECT_EQ(reg(reg::kA3), 2u) << fence;
        EXPECT_EQ(word(kOther + 40), va) << fence;
    }

    isa::riscv::TestPageTables tables{memory, kTables};
    uint64_t trap_cause = 0;
};

uint64_t plain(uint64_t physical) {
    return pte::leaf(physical, pte::kAll);
}

TEST_F(RunnerTranslation, FencesOfEveryKindMakeANewMappingSeen) {
    for (const char* fence : {"sfence.vma zero, zero", "sfence.vma a2, zero", "sinval.vma a2, zero"}) {
        expect_fence_takes_effect(kVa, 0, plain, fence, kVa);
    }
    expect_fence_takes_effect(kVa, 0, plain, "sfence.vma a2, zero", kVa + 0xff8);
}

TEST_F(RunnerTranslation, FencesOfAnAddressSpaceMakeANewMappingSeen) {
    hart.csr.satp = tables.satp(5);
    expect_fence_takes_effect(kVa, 0, plain, "sfence.vma zero, a2", 5);
    reg(reg::kA4) = 5;
    expect_fence_takes_effect(kVa, 0, plain, "sfence.vma a2, a4", kVa);
    hart.csr.satp = tables.satp(0xffff);
    expect_fence_takes_effect(kVa, 0, plain, "sinval.vma zero, a2", 0xf'ffff);
}

TEST_F(RunnerTranslation, FenceOfThePageInWhichAnInstructionEndsMakesItsNewHalfSeen) {
    constexpr uint64_t kEnd = kVa + kPageBytes;
    tables.map(kVa, kPage, pte::kAll);
    put(kPage + kPageBytes - 2, {"addi a0, a0, 1", "jalr zero, 0(ra)"});
    put(kOther - 2, {"addi a0, a0, 100", "jalr zero, 0(ra)"});
    reg(reg::kA0) = 0, reg(reg::kA1) = kEnd - 2, reg(reg::kA2) = kEnd;
    for (uint64_t round = 1; round <= 20; round++) {
        for (uint64_t next : {kPage + kPageBytes, kOther}) {
            tables.map(kEnd, next, pte::kAll);
            run({"sfence.vma a2, zero", "jalr ra, 0(a1)", "jalr ra, 0(a1)", "wfi"});
        }
        ASSERT_EQ(reg(reg::kA0), round * 202);
    }
    tables.set_entry(kEnd, 0, 0);
    run({"sfence.vma a2, zero", "jalr ra, 0(a1)", "wfi"});
    EXPECT_TRUE(trapped());
    EXPECT_EQ(trap_cause, cause::kFetchPage);
    EXPECT_EQ(hart.csr.mepc, kEnd - 2);
    EXPECT_EQ(hart.csr.mtval, kEnd);
}

TEST_F(RunnerTranslation, FenceOfAnyAddressInALargePageCoversAllOfIt) {
    auto mega = [](uint64_t physical) { return plain(physical & ~(kMega - 1)); };
    for (uint64_t fenced : {kVa, kVa + kMega - 8, kVa + kMega / 2}) {
        expect_fence_takes_effect(kVa, 1, mega, "sfence.vma a2, zero", fenced);
    }
    auto napot = [](uint64_t physical) { return pte::leaf(physical | 0x8000, pte::kAll) | pte::kNapot; };
    expect_fence_takes_effect(kVa + kGiga, 0, napot, "sfence.vma a2, zero", kVa + kGiga + 0xf000);
}

TEST_F(RunnerTranslation, FenceOfAnyAddressInAGigapageCoversAllOfIt) {
    // The same gigabyte of memory, readable and then not.
    uint64_t va = kVa + kGiga + (kPage & (kGiga - 1));
    for (unsigned level : {2u, 3u}) {
        isa::riscv::TestPageTables deep(memory, kTables + 0x8'0000 * (level - 1), 4);
        deep.map(kCode, kCode, pte::kAll);
        hart.csr.satp = deep.satp();
        uint64_t span = kPageBytes << (9 * level), at = level == 2 ? va : span + kPage;
        deep.map(at & ~(span - 1), kRam & ~(span - 1), pte::kAll, level);
        store<uint64_t>(kPage, 77);
        EXPECT_EQ(loaded(at), 77u);
        deep.set_entry(at, 0, level);
        reg(reg::kA1) = at, reg(reg::kA2) = (at & ~(span - 1)) + span - 4096;
        run({"sfence.vma a2, zero", "ld a0, 0(a1)", "wfi"});
        EXPECT_TRUE(trapped()) << level;
        EXPECT_EQ(trap_cause, cause::kLoadPage);
    }
}

TEST_F(RunnerTranslation, AddressSpacesDoNotNeedAFenceBetweenThem) {
    isa::riscv::TestPageTables other(memory, kTables + 0x4'0000);
    other.map(kCode, kCode, pte::kAll);
    tables.map(kVa, kPage, pte::kAll);
    other.map(kVa, kOther, pte::kAll);
    store<uint64_t>(kPage, 1), store<uint64_t>(kOther, 2);
    put(kPage + 8, {"addi a3, zero, 11", "jalr zero, 0(ra)"});
    put(kOther + 8, {"addi a3, zero, 12", "jalr zero, 0(ra)"});
    reg(reg::kA1) = kVa;
    put(kCode, {"csrrw zero, satp, a2", "ld a0, 0(a1)", "jalr ra, 8(a1)", "sd a0, 64(a1)", "wfi"});
    for (int round = 0; round < 3; round++) {
        for (unsigned which : {1, 2}) {
            reg(reg::kA2) = which == 1 ? tables.satp(1) : other.satp(2);
            go(kCode);
            EXPECT_EQ(reg(reg::kA0), which);
            EXPECT_EQ(reg(reg::kA3), 10 + which);
        }
    }
    EXPECT_EQ(word(kPage + 64), 1u);
    EXPECT_EQ(word(kOther + 64), 2u);
}

TEST_F(RunnerTranslation, ThousandsOfAddressSpacesStayApart) {
    isa::riscv::TestPageTables other(memory, kTables + 0x4'0000);
    other.map(kCode, kCode, pte::kAll);
    constexpr uint64_t kPages = 300;
    for (uint64_t page = 0; page < kPages; page++) {
        tables.map(kVa + page * kPageBytes, kPage, pte::kAll);
        other.map(kVa + page * kPageBytes, kOther, pte::kAll);
    }
    store<uint64_t>(kPage, 1), store<uint64_t>(kOther, 2);
    put(kCode, {"csrrw zero, satp, a2", "ld a0, 0(a1)", "wfi"});
    auto read = [&](uint64_t satp, uint64_t page) {
        reg(reg::kA1) = kVa + page * kPageBytes, reg(reg::kA2) = satp;
        go(kCode);
        return reg(reg::kA0);
    };
    // What the first space leaves in the caches must not come back when its number is given out anew.
    for (uint64_t page = 1; page < kPages; page++) ASSERT_EQ(read(tables.satp(0), page), 1u);
    for (uint64_t asid = 1; asid < 9000; asid++) {
        bool near_the_end = asid % 4096 > 4080 || asid % 4096 < 16;
        ASSERT_EQ(read(other.satp(asid), near_the_end ? 20 + asid % 64 : 0), 2u) << asid;
    }
}

TEST_F(RunnerTranslation, FenceOfOneAddressSpaceReachesItThoughAnotherIsCurrent) {
    hart.csr.satp = tables.satp(7);
    tables.map(kVa, kPage, pte::kAll);
    store<uint64_t>(kPage, 1), store<uint64_t>(kOther, 2);
    EXPECT_EQ(loaded(kVa), 1u);
    tables.map(kVa, kOther, pte::kAll);
    reg(reg::kA1) = kVa, reg(reg::kA2) = tables.satp(8), reg(reg::kA3) = 7, reg(reg::kA4) = tables.satp(7);
    run({"csrrw zero, satp, a2", "sfence.vma zero, a3", "csrrw zero, satp, a4", "ld a0, 0(a1)", "wfi"});
    EXPECT_EQ(reg(reg::kA0), 2u);
}

TEST_F(RunnerTranslation, SumTogglesTakeEffectAtOnce) {
    tables.map(kVa, kPage, pte::kAll | pte::kU);
    reg(reg::kA1) = kVa, reg(reg::kA2) = mstatus::kSum;
    run({"csrrs zero, sstatus, a2", "ld a0, 0(a1)", "sd a0, 0(a1)", "csrrc zero, sstatus, a2", "ld a0, 0(a1)", "wfi"});
    EXPECT_TRUE(trapped());
    EXPECT_EQ(hart.csr.mepc, kCode + 16);
    EXPECT_EQ(trap_cause, cause::kLoadPage);
    run({"csrrs zero, sstatus, a2", "sd a0, 0(a1)", "wfi"});
    EXPECT_FALSE(trapped());
}

TEST_F(RunnerTranslation, MxrTogglesTakeEffectAtOnce) {
    tables.map(kVa, kPage, pte::kV | pte::kX | pte::kA);
    reg(reg::kA1) = kVa, reg(reg::kA2) = mstatus::kMxr;
    run({"csrrs zero, sstatus, a2", "ld a0, 0(a1)", "csrrc zero, sstatus, a2", "ld a0, 0(a1)", "wfi"});
    EXPECT_TRUE(trapped());
    EXPECT_EQ(hart.csr.mepc, kCode + 12);
}

TEST_F(RunnerTranslation, MprvTogglesTakeEffectAtOnceForDataOnly) {
    tables.map(kPage, kOther, pte::kAll);
    store<uint64_t>(kPage, 1), store<uint64_t>(kOther, 2);
    hart.privilege = Privilege::kMachine;
    reg(reg::kA1) = kPage, reg(reg::kA2) = mstatus::kMprv, reg(reg::kA3) = 1 << mstatus::kMppShift;
    run({"csrrs zero, mstatus, a3", "ld a4, 0(a1)", "csrrs zero, mstatus, a2", "ld a5, 0(a1)",
         "csrrc zero, mstatus, a2", "ld a0, 0(a1)", "wfi"});
    EXPECT_EQ(hart.pc, kCode + 28);
    EXPECT_EQ(reg(reg::kA4), 1u);
    EXPECT_EQ(reg(reg::kA5), 2u);
    EXPECT_EQ(reg(reg::kA0), 1u);
}

TEST_F(RunnerTranslation, PrivilegeDecidesWhatMayBeFetched) {
    tables.map(kVa, kPage, pte::kAll | pte::kU);
    tables.map(kVa + kPageBytes, kPage, pte::kAll);
    put(kPage, {"addi a0, zero, 3", "ecall"});
    put(kCode, {"csrrw zero, sepc, a1", "sret"});
    auto enter = [&](uint64_t pc, uint64_t previous) {
        hart.privilege = Privilege::kSupervisor;
        hart.csr.mstatus = (hart.csr.mstatus & ~mstatus::kSpp) | previous;
        reg(reg::kA1) = pc;
        go(kCode);
        EXPECT_TRUE(trapped());
        return trap_cause;
    };
    for (int round = 0; round < 2; round++) {
        EXPECT_EQ(enter(kVa, 0), cause::kEcallUser);
        EXPECT_EQ(enter(kVa, mstatus::kSpp), cause::kFetchPage);
        EXPECT_EQ(enter(kVa + kPageBytes, mstatus::kSpp), cause::kEcallSupervisor);
        EXPECT_EQ(enter(kVa + kPageBytes, 0), cause::kFetchPage);
    }
}

TEST_F(RunnerTranslation, PmpChangesTakeEffectAtOnce) {
    hart.privilege = Privilege::kMachine;
    constexpr uint64_t kLockedNapot = 0x98;
    isa::riscv::pmp_write_address(hart, 0, kPage >> 2 | 0x1ff);
    isa::riscv::pmp_write_address(hart, 1, ~uint64_t{0});
    isa::riscv::pmp_write_config(hart, 0, 0x1f1f);
    reg(reg::kA1) = kPage, reg(reg::kA2) = kLockedNapot | 0x1f00;
    run({"sd a1, 0(a1)", "ld a0, 0(a1)", "csrrw zero, pmpcfg0, a2", "ld a0, 0(a1)", "wfi"});
    EXPECT_EQ(hart.pc, kHandler + 4);
    EXPECT_EQ(hart.csr.mcause, cause::kLoadAccess);
    EXPECT_EQ(hart.csr.mepc, kCode + 12);
}

TEST_F(RunnerTranslation, PmpThatSplitsAPageGuardsEachPartOfIt) {
    constexpr uint64_t kSecret = kPage + 0x104;
    isa::riscv::pmp_write_address(hart, 1, ~uint64_t{0});
    isa::riscv::pmp_write_address(hart, 0, kSecret >> 2);
    isa::riscv::pmp_write_config(hart, 0, 0x1f10);  // NA4 without rights, then all
    tables.map(kVa, kPage, pte::kAll);
    for (int round = 0; round < 2; round++) {
        EXPECT_NE(loaded(kVa), kFault);
        EXPECT_EQ(loaded(kVa + 0x104), kFault);
        EXPECT_EQ(trap_cause, cause::kLoadAccess);
        EXPECT_EQ(loaded(kVa + 0x100), kFault) << "the last bytes are not allowed";
        EXPECT_EQ(hart.csr.mtval, kVa + 0x100);
        EXPECT_NE(loaded(kVa + 0x108), kFault);
    }
    put(kPage + 0xfc, {"addi a0, a0, 1", "addi a0, a0, 1", "addi a0, a0, 1"});
    reg(reg::kA0) = 0;
    go(kVa + 0xfc);
    EXPECT_TRUE(trapped());
    EXPECT_EQ(trap_cause, cause::kFetchAccess);
    EXPECT_EQ(hart.csr.mepc, kVa + 0x104);
    EXPECT_EQ(reg(reg::kA0), 2u);
}

TEST_F(RunnerTranslation, RemappedPageDoesNotKeepTheRightsOfTheOldMapping) {
    // No fence: the hart may use the old mapping or the new one, but not the new page with the old rights.
    tables.map(kVa, kPage, pte::kAll);
    reg(reg::kA1) = kVa, reg(reg::kA0) = 5;
    run({"sd a0, 0(a1)", "wfi"});
    tables.map(kVa, kOther, pte::kRead);
    run({"ld a2, 0(a1)", "addi a0, zero, 6", "sd a0, 8(a1)", "wfi"});
    bool fault = trapped();
    EXPECT_EQ(word(kOther + 8), 0u);
    EXPECT_TRUE(fault || word(kPage + 8) == 6);
}

TEST_F(RunnerTranslation, MachineModeAndBareSupervisorsShareAddressesNotRights) {
    hart.csr.satp = 0;
    isa::riscv::pmp_write_config(hart, 0, 0x1c);  // execute only
    hart.privilege = Privilege::kMachine;
    store<uint64_t>(kPage, 9);
    EXPECT_EQ(loaded(kPage), 9u);
    hart.privilege = Privilege::kSupervisor;
    EXPECT_EQ(loaded(kPage), kFault);
    EXPECT_EQ(trap_cause, cause::kLoadAccess);
}

TEST_F(RunnerTranslation, HardwareSetsAccessedAndDirtyWhenEnabled) {
    hart.csr.menvcfg = isa::riscv::envcfg::kAdue;
    hart.translation_version++;
    uint64_t clean = pte::kV | pte::kR | pte::kW;
    tables.map(kVa, kPage, clean);
    reg(reg::kA1) = kVa;
    run({"ld a0, 0(a1)", "wfi"});
    EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, clean | pte::kA));
    run({"sd a0, 0(a1)", "wfi"});
    EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, clean | pte::kA | pte::kD)) << "though a load was cached";
}

TEST_F(RunnerTranslation, WrittenPagesAreDirtyAgainAfterACollectionAndAFence) {
    tables.map(kVa, kPage, pte::kAll);
    reg(reg::kA1) = kVa;
    tables.map(kVa + kPageBytes, kPage + kPageBytes, pte::kAll);
    const std::vector<uint64_t> first = {kPage}, both = {kPage, kPage + kPageBytes};
    for (auto [store, offset, expected] :
         {std::tuple{"sd a0, 0(a1)", uint64_t{0}, first}, std::tuple{"amoswap.d a0, a0, (a1)", uint64_t{0}, first},
          std::tuple{"sd a0, 0(a1)", kPageBytes - 4, both}}) {
        reg(reg::kA1) = kVa + offset;
        for (int round = 0; round < 2; round++) {
            put(kCode, {store, "wfi"});
            vcpu->request_instruction_fence();
            (void)memory.collect_dirty();
            vcpu->request_translation_fence();
            go(kCode);
            EXPECT_EQ(memory.collect_dirty(), expected) << store;
        }
    }
}

TEST_F(RunnerTranslation, FenceIMakesNewInstructionsSeen) {
    put(kCode + 0x80, {"addi a0, zero, 1", "jalr zero, 0(ra)"});
    uint64_t patched = assemble("addi a0, zero, 2");
    reg(reg::kA1) = kCode + 0x80, reg(reg::kA2) = patched;
    run({"jalr ra, 0(a1)", "addi a3, a0, 0", "sw a2, 0(a1)", "fence.i", "jalr ra, 0(a1)", "wfi"});
    EXPECT_EQ(reg(reg::kA3), 1u);
    EXPECT_EQ(reg(reg::kA0), 2u);
    put(kCode + 0x80, {"addi a0, zero, 3"});
    vcpu->request_instruction_fence();
    go(kCode);
    EXPECT_EQ(reg(reg::kA3), 3u) << "another hart's fence";
}

}  // namespace
}  // namespace doppel::cpu::interpret
