#include <gtest/gtest.h>

#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

constexpr uint8_t kR = 1, kW = 2, kX = 4, kTor = 1 << 3, kNa4 = 2 << 3, kNapot = 3 << 3, kL = 0x80;
constexpr uint64_t kBase = 0x8000'0000;

// pmpaddr of the naturally aligned range of `size` bytes, a power of two of 8 or more.
constexpr uint64_t napot(uint64_t base, uint64_t size) {
    return base >> 2 | (size / 8 - 1);
}

class Pmp : public ::testing::Test {
  protected:
    void entry(uint32_t index, uint8_t config, uint64_t address) {
        pmp_write_address(hart, index, address);
        unsigned shift = 8 * (index % 8);
        uint64_t old = pmp_config(hart, index / 8 * 2);
        pmp_write_config(hart, index / 8 * 2, (old & ~(uint64_t{0xff} << shift)) | uint64_t{config} << shift);
    }
    bool loads(uint64_t address, uint64_t bytes = 1, Privilege privilege = Privilege::kSupervisor) const {
        return pmp_allows(hart, address, bytes, Access::kLoad, privilege);
    }
    bool allows(Access access, Privilege privilege, uint64_t address = kBase) const {
        return pmp_allows(hart, address, 1, access, privilege);
    }
    uint8_t config(uint32_t index) const {
        return static_cast<uint8_t>(pmp_config(hart, index / 8 * 2) >> (8 * (index % 8)));
    }

    Hart hart;
};

TEST_F(Pmp, WithoutAMatchLetsMachineModeThroughAndNobodyElse) {
    EXPECT_TRUE(loads(kBase, 8, Privilege::kMachine));
    EXPECT_FALSE(loads(kBase, 8, Privilege::kSupervisor));
    EXPECT_FALSE(loads(kBase, 8, Privilege::kUser));
}

TEST_F(Pmp, Na4CoversFourBytes) {
    entry(3, kNa4 | kR, kBase >> 2);
    EXPECT_FALSE(loads(kBase - 1));
    EXPECT_TRUE(loads(kBase, 4));
    EXPECT_TRUE(loads(kBase + 3));
    EXPECT_FALSE(loads(kBase + 4));
}

TEST_F(Pmp, NapotCoversEverySizeFromEightBytesToAll) {
    for (unsigned bits = 3; bits <= 55; bits++) {
        uint64_t size = uint64_t{1} << bits, base = bits < 55 ? size * 2 : 0;
        entry(0, kNapot | kR, napot(base, size));
        EXPECT_TRUE(loads(base)) << bits;
        EXPECT_TRUE(loads(base + size - 1)) << bits;
        EXPECT_FALSE(loads(base + size)) << bits;
        if (base != 0) {
            EXPECT_FALSE(loads(base - 1)) << bits;
        }
    }
    entry(0, kNapot | kR, (uint64_t{1} << 53) - 1);
    EXPECT_TRUE(loads(0));
    EXPECT_TRUE(loads((uint64_t{1} << 56) - 1));
    EXPECT_FALSE(loads(uint64_t{1} << 56));
}

TEST_F(Pmp, NapotOfAllOnesIsTheWholeSpace) {
    entry(0, kNapot | kR, ~uint64_t{0});
    EXPECT_EQ(hart.csr.pmpaddr[0], (uint64_t{1} << 54) - 1) << "address bits 55 to 2";
    for (uint64_t address : {uint64_t{0}, kBase, (uint64_t{1} << 56) - 8, ~uint64_t{7}}) EXPECT_TRUE(loads(address, 8));
}

TEST_F(Pmp, TopOfRangeStartsAtThePreviousAddressWhateverThatEntryIs) {
    entry(0, kTor | kR, 0x1000 >> 2);
    EXPECT_TRUE(loads(0));
    EXPECT_TRUE(loads(0xfff));
    EXPECT_FALSE(loads(0x1000));
    entry(4, 0, 0x2000 >> 2);  // off
    entry(5, kTor | kR, 0x3000 >> 2);
    EXPECT_FALSE(loads(0x1fff));
    EXPECT_TRUE(loads(0x2000));
    EXPECT_TRUE(loads(0x2fff));
    EXPECT_FALSE(loads(0x3000));
}

TEST_F(Pmp, TopOfRangeThatIsEmptyOrUpsideDownMatchesNothing) {
    entry(0, 0, 0x2000 >> 2);
    entry(1, kTor | kR | kW, 0x2000 >> 2);
    entry(2, kTor, 0x1000 >> 2);
    entry(3, kNapot | kR, ~uint64_t{0});
    EXPECT_TRUE(loads(0x1000));
    EXPECT_TRUE(loads(0x2000));
}

TEST_F(Pmp, LowestEntryThatMatchesAnyByteDecides) {
    entry(0, kNapot, napot(kBase, 16));
    entry(1, kNapot | kR, napot(kBase, 4096));
    EXPECT_FALSE(loads(kBase + 8, 8));
    EXPECT_TRUE(loads(kBase + 16, 8));
    entry(2, kNapot, napot(kBase, 8192));
    EXPECT_TRUE(loads(kBase + 16, 8)) << "a later entry changes nothing";
}

TEST_F(Pmp, PartialMatchFailsEvenForMachineModeAndWithAPermittingEntryBehind) {
    entry(0, kNa4 | kR | kW | kX, kBase >> 2);
    entry(1, kNapot | kR | kW | kX, ~uint64_t{0});
    for (Privilege privilege : {Privilege::kUser, Privilege::kSupervisor, Privilege::kMachine}) {
        EXPECT_FALSE(loads(kBase, 8, privilege));
        EXPECT_FALSE(loads(kBase - 4, 8, privilege));
        EXPECT_TRUE(loads(kBase, 4, privilege));
        EXPECT_TRUE(loads(kBase + 4, 4, privilege));
    }
}

TEST_F(Pmp, PermissionsAreReadWriteAndExecute) {
    for (uint8_t permissions : {0, 1, 3, 4, 5, 7}) {
        entry(0, kNapot | permissions, ~uint64_t{0});
        for (Privilege privilege : {Privilege::kUser, Privilege::kSupervisor}) {
            EXPECT_EQ(allows(Access::kLoad, privilege), (permissions & kR) != 0);
            EXPECT_EQ(allows(Access::kStore, privilege), (permissions & kW) != 0);
            EXPECT_EQ(allows(Access::kFetch, privilege), (permissions & kX) != 0);
        }
        EXPECT_TRUE(allows(Access::kStore, Privilege::kMachine)) << "not locked";
    }
    entry(1, kNapot | kW, ~uint64_t{0});
    EXPECT_EQ(config(1), kNapot) << "write without read is reserved";
}

TEST_F(Pmp, LockedEntriesBindMachineModeToo) {
    entry(0, kNapot | kL | kR, napot(kBase, 4096));
    EXPECT_TRUE(allows(Access::kLoad, Privilege::kMachine));
    EXPECT_FALSE(allows(Access::kStore, Privilege::kMachine));
    EXPECT_FALSE(allows(Access::kFetch, Privilege::kMachine));
    EXPECT_TRUE(allows(Access::kStore, Privilege::kMachine, kBase + 4096));
}

TEST_F(Pmp, LockedEntriesDoNotChange) {
    entry(0, kNapot | kL, 0x1111);
    entry(0, kNapot | kR | kW | kX, 0x2222);
    EXPECT_EQ(config(0), kNapot | kL);
    EXPECT_EQ(hart.csr.pmpaddr[0], 0x1111u);
    entry(1, kNapot | kR, 0x3333);
    EXPECT_EQ(config(1), kNapot | kR) << "its neighbour in pmpcfg0 does";
}

TEST_F(Pmp, LockedTopOfRangeLocksTheAddressBelow) {
    entry(2, 0, 0x1000);
    entry(3, kTor | kL | kR, 0x2000);
    pmp_write_address(hart, 2, 0x1800);
    EXPECT_EQ(hart.csr.pmpaddr[2], 0x1000u);
    entry(5, kNapot | kL, 0x2000);
    pmp_write_address(hart, 4, 0x1800);
    EXPECT_EQ(hart.csr.pmpaddr[4], 0x1800u) << "only top-of-range entries lock it";
    entry(2, kNapot | kR, 0x7777);
    EXPECT_EQ(config(2), kNapot | kR) << "its configuration is free";
}

TEST_F(Pmp, ConfigurationRegistersHoldEightEntriesEach) {
    pmp_write_config(hart, 0, 0x9f98'8f1f'1b19'1800);
    pmp_write_config(hart, 2, 0x0706'0504'0302'0100);
    EXPECT_EQ(pmp_config(hart, 0), 0x9f98'8f1f'1b19'1800u);
    EXPECT_EQ(pmp_config(hart, 2), 0x0704'0504'0300'0100u) << "W without R is reserved";
    pmp_write_config(hart, 4, ~uint64_t{0});
    EXPECT_EQ(pmp_config(hart, 4), 0u) << "there are 16 entries";
    pmp_write_address(hart, kPmpEntries, 1);
    entry(15, kNapot | 0x60, 1);
    EXPECT_EQ(config(15), kNapot) << "bits 5 and 6 are zero";
}

TEST_F(Pmp, PageIsUniformUnlessABoundaryLiesInside) {
    EXPECT_TRUE(pmp_uniform(hart, kBase));
    entry(0, kNapot | kR, napot(kBase, 4096));
    for (uint64_t page : {kBase - 4096, kBase, kBase + 4096}) EXPECT_TRUE(pmp_uniform(hart, page));
    entry(1, kNa4, (kBase + 4096) >> 2);
    EXPECT_FALSE(pmp_uniform(hart, kBase + 4096));
    EXPECT_TRUE(pmp_uniform(hart, kBase));
    entry(1, kNa4, (kBase + 4092) >> 2);
    EXPECT_FALSE(pmp_uniform(hart, kBase));
    entry(1, kNa4, (kBase + 2048) >> 2);
    EXPECT_FALSE(pmp_uniform(hart, kBase));
    entry(1, 0, 0);
    EXPECT_TRUE(pmp_uniform(hart, kBase));
    entry(2, 0, (kBase + 12) >> 2);
    entry(3, kTor, (kBase + 0x10000) >> 2);
    EXPECT_FALSE(pmp_uniform(hart, kBase));
    EXPECT_TRUE(pmp_uniform(hart, kBase + 4096));
}

}  // namespace
}  // namespace doppel::isa::riscv
