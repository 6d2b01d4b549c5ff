#include "isa/riscv/mmu.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "isa/riscv/test_hart.h"
#include "isa/riscv/test_page_tables.h"

namespace doppel::isa::riscv {
namespace {

constexpr uint64_t kTables = TestHart::kRam + 0x10'0000, kPage = TestHart::kRam + 0x20'0000;
constexpr uint64_t kVa = 0x12'3456'7000;
constexpr Access kAccesses[] = {Access::kFetch, Access::kLoad, Access::kStore};

class Mmu : public ::testing::Test, public TestHart {
  protected:
    Mmu() { use(tables); }

    void use(const TestPageTables& with) {
        hart.csr.satp = with.satp();
        hart.privilege = mode.privilege = Privilege::kSupervisor;
    }
    Translation at(uint64_t va, Access access = Access::kLoad, unsigned bytes = 1) {
        return translate(hart, memory, va, bytes, access, mode);
    }
    uint64_t cause_at(uint64_t va, Access access = Access::kLoad) {
        Translation found = at(va, access);
        return found.ok ? 0xdead : found.cause;
    }
    bool permitted(Access access) { return at(kVa, access).ok; }
    // Every access to kVa is a page fault.
    void expect_page_faults() {
        for (Access access : kAccesses) EXPECT_EQ(cause_at(kVa, access), page_fault(access));
    }
    void expect_access_faults() {
        for (Access access : kAccesses) EXPECT_EQ(cause_at(kVa, access), access_fault(access));
    }

    TestPageTables tables{memory, kTables};
    AccessMode mode{};
};

TEST_F(Mmu, WithoutTranslationAddressesArePhysical) {
    hart.csr.satp = 0;
    EXPECT_EQ(at(0xffff'8000'0000'0123).physical, 0xffff'8000'0000'0123u);
    use(tables);
    mode.privilege = Privilege::kMachine;
    EXPECT_EQ(at(kVa).physical, kVa);
}

TEST_F(Mmu, WalksThreeFourAndFiveLevels) {
    for (unsigned levels : {3u, 4u, 5u}) {
        TestPageTables deeper(memory, kTables + 0x10'0000 * (levels - 2), levels);
        use(deeper);
        uint64_t top = uint64_t{1} << (12 + 9 * levels - 1);
        for (uint64_t va : {uint64_t{0}, top - kPageBytes, uint64_t{0} - top, ~uint64_t{0xfff}}) {
            deeper.map(va, kPage + (va >> 12 & 3) * kPageBytes, pte::kAll);
            Translation found = at(va + 0x123);
            EXPECT_TRUE(found.ok) << levels << std::hex << va;
            EXPECT_EQ(found.physical, kPage + (va >> 12 & 3) * kPageBytes + 0x123);
            EXPECT_EQ(found.span, kPageBytes);
        }
        EXPECT_EQ(cause_at(0x1000), cause::kLoadPage);
    }
}

TEST_F(Mmu, AddressesMustBeCanonical) {
    for (unsigned levels : {3u, 4u, 5u}) {
        TestPageTables deeper(memory, kTables + 0x10'0000 * (levels - 2), levels);
        use(deeper);
        uint64_t top = uint64_t{1} << (12 + 9 * levels - 1);
        deeper.map(uint64_t{0} - top, kPage, pte::kAll);  // the walk ignores the upper bits
        deeper.map(0, kPage, pte::kAll);
        for (uint64_t va : {top, uint64_t{1} << 63, top * 2, uint64_t{0} - 2 * top}) {
            for (Access access : kAccesses) EXPECT_EQ(cause_at(va, access), page_fault(access)) << levels;
        }
        EXPECT_TRUE(at(0).ok);
    }
}

TEST_F(Mmu, SuperpagesMapTheirWholeSpan) {
    TestPageTables five(memory, kTables + 0x10'0000, 5);
    use(five);
    for (unsigned level = 1; level < 5; level++) {
        uint64_t span = kPageBytes << (9 * level), va = span * 3, physical = level < 3 ? kRam & ~(span - 1) : 0;
        five.map(va, physical, pte::kAll, level);
        Translation found = at(va + (kRam & (span - 1)) + 0x5678);
        ASSERT_TRUE(found.ok) << level;
        EXPECT_EQ(found.physical, kRam + 0x5678);
        EXPECT_EQ(found.span, span);
    }
}

TEST_F(Mmu, MisalignedSuperpageFaults) {
    for (unsigned level : {1u, 2u}) {
        uint64_t span = kPageBytes << (9 * level), va = span * 5;
        for (uint64_t off : {kPageBytes, span / 2}) {
            tables.map(va, kRam / span * span + off, pte::kAll, level);
            for (Access access : kAccesses) EXPECT_EQ(cause_at(va, access), page_fault(access));
        }
    }
}

TEST_F(Mmu, EntriesMustBeValidAndWritableImpliesReadable) {
    for (uint64_t flags : {pte::kAll & ~pte::kV, pte::kAll & ~pte::kR, pte::kAll & ~(pte::kR | pte::kX)}) {
        tables.map(kVa, kPage, flags);
        expect_page_faults();
    }
    tables.map(kVa, kPage, pte::kV | pte::kX | pte::kA);
    EXPECT_TRUE(permitted(Access::kFetch)) << "execute-only is an encoding";
}

TEST_F(Mmu, ReservedBitsFaultInLeavesAndPointers) {
    for (unsigned bit = 54; bit <= 60; bit++) {
        tables.set_entry(kVa, pte::leaf(kPage, pte::kAll) | uint64_t{1} << bit);
        expect_page_faults();
    }
    tables.map(kVa, kPage, pte::kAll | 3 << 8);
    EXPECT_TRUE(permitted(Access::kLoad)) << "RSW is software's";
    uint64_t pointer = tables.entry(kVa, 1);
    for (uint64_t bits : {uint64_t{1} << 54, uint64_t{1} << 60, pte::kA, pte::kD, pte::kU, pte::kNapot, pte::kPbmtNc}) {
        hart.csr.menvcfg = envcfg::kPbmte;
        tables.set_entry(kVa, pointer | bits, 1);
        expect_page_faults();
        tables.set_entry(kVa, pointer, 1);
    }
    tables.set_entry(kVa, pointer | pte::kG | 3 << 8, 1);
    EXPECT_TRUE(permitted(Access::kLoad));
}

TEST_F(Mmu, PointerInTheLastLevelFaults) {
    tables.map(kVa, kPage, pte::kV);
    expect_page_faults();
}

TEST_F(Mmu, PermissionsAreReadWriteAndExecute) {
    for (uint64_t flags : {pte::kR, pte::kR | pte::kW, pte::kX, pte::kR | pte::kX, pte::kR | pte::kW | pte::kX}) {
        tables.map(kVa, kPage, flags | pte::kV | pte::kA | pte::kD);
        EXPECT_EQ(permitted(Access::kLoad), (flags & pte::kR) != 0);
        EXPECT_EQ(permitted(Access::kStore), (flags & pte::kW) != 0);
        EXPECT_EQ(permitted(Access::kFetch), (flags & pte::kX) != 0);
    }
}

TEST_F(Mmu, MxrMakesExecutablePagesReadable) {
    tables.map(kVa, kPage, pte::kV | pte::kX | pte::kA | pte::kD);
    mode.mxr = true;
    EXPECT_TRUE(permitted(Access::kLoad));
    EXPECT_FALSE(permitted(Access::kStore));
    tables.map(kVa, kPage, pte::kV | pte::kX | pte::kA | pte::kU);
    EXPECT_FALSE(permitted(Access::kLoad)) << "user pages stay out of reach";
}

TEST_F(Mmu, UserPagesAreForUsersAndWithSumForSupervisorsData) {
    tables.map(kVa, kPage, pte::kAll | pte::kU);
    for (Access access : kAccesses) EXPECT_FALSE(permitted(access));
    mode.sum = true;
    EXPECT_TRUE(permitted(Access::kLoad) && permitted(Access::kStore));
    EXPECT_FALSE(permitted(Access::kFetch)) << "SUM never lets a supervisor execute user pages";
    mode = {Privilege::kUser};
    for (Access access : kAccesses) EXPECT_TRUE(permitted(access));
    tables.map(kVa, kPage, pte::kAll);
    for (Access access : kAccesses) EXPECT_FALSE(permitted(access));
}

TEST_F(Mmu, MprvAppliesToDataOnly) {
    hart.privilege = Privilege::kMachine;
    hart.csr.mstatus |= mstatus::kSum | mstatus::kMxr;
    EXPECT_EQ(data_mode(hart), (AccessMode{Privilege::kMachine, true, true}));
    hart.csr.mstatus |= mstatus::kMprv | 1 << mstatus::kMppShift;
    EXPECT_EQ(data_mode(hart), (AccessMode{Privilege::kSupervisor, true, true}));
    EXPECT_EQ(fetch_mode(hart).privilege, Privilege::kMachine);
    hart.csr.mstatus &= ~mstatus::kMpp;
    EXPECT_EQ(data_mode(hart).privilege, Privilege::kUser);
}

TEST_F(Mmu, WithoutAdueClearAccessedAndDirtyBitsFault) {
    tables.map(kVa, kPage, pte::kAll & ~pte::kA);
    expect_page_faults();
    tables.map(kVa, kPage, pte::kAll & ~pte::kD);
    EXPECT_TRUE(permitted(Access::kLoad) && permitted(Access::kFetch));
    EXPECT_EQ(cause_at(kVa, Access::kStore), cause::kStorePage);
    EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, pte::kAll & ~pte::kD));
}

TEST_F(Mmu, WithAdueAccessesSetAccessedAndStoresDirty) {
    hart.csr.menvcfg = envcfg::kAdue;
    uint64_t clean = pte::kAll & ~(pte::kA | pte::kD);
    for (Access access : kAccesses) {
        tables.map(kVa, kPage, clean);
        EXPECT_TRUE(permitted(access));
        uint64_t expected = clean | pte::kA | (access == Access::kStore ? pte::kD : 0);
        EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, expected));
    }
    (void)memory.collect_dirty();
    tables.map(kVa, kPage, pte::kV | pte::kR);
    (void)memory.collect_dirty();
    EXPECT_FALSE(permitted(Access::kStore));
    EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, pte::kV | pte::kR)) << "a denied access sets nothing";
    EXPECT_TRUE(memory.collect_dirty().empty());
    EXPECT_TRUE(permitted(Access::kLoad));
    EXPECT_EQ(memory.collect_dirty(), std::vector<uint64_t>{tables.slot(kVa) & ~uint64_t{0xfff}});
}

TEST_F(Mmu, UpdatesOfAccessedAndDirtyNeverOverwriteWhatAnotherHartStores) {
    hart.csr.menvcfg = envcfg::kAdue;
    uint64_t slot = tables.slot(kVa);
    auto* entry = reinterpret_cast<uint64_t*>(memory.find(slot, 8)->host + (slot - kRam));
    uint64_t clean[] = {pte::leaf(kPage, pte::kV | pte::kR | pte::kW),
                        pte::leaf(kPage + kPageBytes, pte::kV | pte::kR)};
    std::atomic<bool> begun{false}, done{false};
    std::atomic<int> wrong{0};
    std::thread other([&] {
        while (!begun) std::this_thread::yield();
        uint64_t mine = clean[0];
        __atomic_store_n(entry, mine, __ATOMIC_SEQ_CST);
        for (int i = 1; i < 50'000; i++) {
            uint64_t old = __atomic_exchange_n(entry, clean[i & 1], __ATOMIC_SEQ_CST);
            if ((old & ~(pte::kA | pte::kD)) != mine) wrong++;
            mine = clean[i & 1];
        }
        done = true;
    });
    begun = true;
    while (!done) {
        // Dirty is only for the page that is writable: the other one must fault.
        Translation found = at(kVa, Access::kStore);
        if (found.ok && found.physical != kPage) wrong++;
        if (__atomic_load_n(entry, __ATOMIC_SEQ_CST) == (clean[1] | pte::kD | pte::kA)) wrong++;
    }
    other.join();
    EXPECT_EQ(wrong, 0);
}

TEST_F(Mmu, SvnapotMapsSixtyFourKibibytes) {
    constexpr uint64_t kBlock = 0x1'0000;
    uint64_t base = kVa & ~(kBlock - 1), physical = kPage & ~(kBlock - 1);
    for (uint64_t page = 0; page < 16; page++) {
        tables.set_entry(base + page * kPageBytes, pte::leaf(physical | 0x8000, pte::kAll) | pte::kNapot);
        Translation found = at(base + page * kPageBytes + 0x42);
        ASSERT_TRUE(found.ok);
        EXPECT_EQ(found.physical, physical + page * kPageBytes + 0x42);
        EXPECT_EQ(found.span, kBlock);
    }
}

TEST_F(Mmu, SvnapotWithAnotherSizeOrInASuperpageFaults) {
    for (uint64_t low = 0; low < 16; low++) {
        tables.set_entry(kVa, pte::leaf((kPage & ~uint64_t{0xffff}) | low << 12, pte::kAll) | pte::kNapot);
        if (low == 8) continue;
        expect_page_faults();
    }
    tables.set_entry(kVa, pte::leaf(0x8000'0000, pte::kAll) | pte::kNapot, 1);
    expect_page_faults();
}

TEST_F(Mmu, SvpbmtNeedsPbmteAndItsReservedTypeFaults) {
    for (uint64_t type : {pte::kPbmtNc, pte::kPbmtIo, pte::kPbmtReserved}) {
        tables.set_entry(kVa, pte::leaf(kPage, pte::kAll) | type);
        hart.csr.menvcfg = 0;
        expect_page_faults();
        hart.csr.menvcfg = envcfg::kPbmte;
        EXPECT_EQ(permitted(Access::kLoad), type != pte::kPbmtReserved);
        EXPECT_EQ(permitted(Access::kStore), type != pte::kPbmtReserved);
    }
}

TEST_F(Mmu, TablesOutsideMemoryAreAccessFaults) {
    tables.set_entry(kVa, pte::leaf(0x7000'0000, pte::kV), 1);
    expect_access_faults();
    hart.csr.satp = uint64_t{8} << 60 | 0xfff'ffff'ffff;
    expect_access_faults();
}

TEST_F(Mmu, TablesInRomTranslateButTakeNoUpdates) {
    std::array<uint8_t, 8> entry;
    store_le<uint64_t>(entry.data(), pte::leaf(0x8000'0000, pte::kV | pte::kR | pte::kW | pte::kX | pte::kA));
    ASSERT_TRUE(memory.write(kRom + 16, entry));
    hart.csr.satp = uint64_t{8} << 60 | kRom >> 12;
    hart.csr.menvcfg = envcfg::kAdue;
    EXPECT_EQ(at(0x8000'0040).physical, 0x8000'0040u);
    EXPECT_EQ(cause_at(0x8000'0040, Access::kStore), cause::kStoreAccess);
}

TEST_F(Mmu, PmpGuardsTheTablesAsSupervisorReadsAndWrites) {
    constexpr uint8_t kNa4 = 2 << 3, kReadOnly = 1;
    tables.map(kVa, kPage, pte::kAll & ~(pte::kA | pte::kD));
    hart.csr.menvcfg = envcfg::kAdue;
    // Entry 0 of the PMP is that of one leaf only; entry 1 opens the rest.
    auto guard = [&](uint64_t slot, uint64_t config) {
        pmp_write_address(hart, 1, ~uint64_t{0});
        pmp_write_address(hart, 0, slot >> 2);
        pmp_write_config(hart, 0, 0x1f00 | config);
    };
    constexpr uint64_t kNapot8 = 3 << 3;
    guard(tables.slot(kVa), kNapot8);
    expect_access_faults();
    guard(tables.slot(kVa), kNapot8 | kReadOnly);
    expect_access_faults();
    EXPECT_EQ(tables.entry(kVa), pte::leaf(kPage, pte::kAll & ~(pte::kA | pte::kD)));
    tables.map(kVa, kPage, pte::kAll);
    EXPECT_TRUE(permitted(Access::kLoad)) << "nothing to update";
    guard(tables.slot(kVa), kNa4 | kReadOnly);
    expect_access_faults();
}

TEST_F(Mmu, PmpGuardsTheResultInTheEffectivePrivilege) {
    constexpr uint64_t kNapotNone = 3 << 3;
    tables.map(kVa, kPage, pte::kAll);
    pmp_write_address(hart, 1, ~uint64_t{0});
    pmp_write_address(hart, 0, kPage >> 2 | 0x1ff);
    pmp_write_config(hart, 0, 0x1f00 | kNapotNone);
    expect_access_faults();
    mode.privilege = Privilege::kMachine;
    EXPECT_TRUE(at(kPage, Access::kStore).ok);
}

TEST_F(Mmu, ADebuggerSeesWhatIsMappedWhateverItsProtectionAndLeavesNoTrace) {
    constexpr uint64_t kNapotNone = 3 << 3;
    pmp_write_address(hart, 0, kPage >> 2 | 0x1ff);
    pmp_write_config(hart, 0, kNapotNone);
    hart.csr.menvcfg |= envcfg::kAdue;
    tables.map(kVa, kPage, pte::kV | pte::kX | pte::kU);  // a user's page, not accessed yet
    uint64_t before = tables.entry(kVa);
    EXPECT_EQ(find_physical(hart, memory, kVa + 0x123), kPage + 0x123);
    EXPECT_EQ(tables.entry(kVa), before);
    EXPECT_FALSE(find_physical(hart, memory, kVa + kPageBytes));
    EXPECT_FALSE(find_physical(hart, memory, uint64_t{1} << 60)) << "not canonical";
    hart.privilege = Privilege::kMachine;
    EXPECT_EQ(find_physical(hart, memory, kVa), kVa);
}

}  // namespace
}  // namespace doppel::isa::riscv
