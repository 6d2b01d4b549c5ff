#include "isa/riscv/csr.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "base/saved_state.h"
#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

constexpr uint64_t kAllOnes = ~uint64_t{0};
constexpr uint32_t kSstatus = 0x100, kSie = 0x104, kStvec = 0x105, kScounteren = 0x106, kSenvcfg = 0x10a, kSepc = 0x141;
constexpr uint32_t kSip = 0x144, kStimecmp = 0x14d, kSatp = 0x180, kMstatus = 0x300, kMisaNumber = 0x301;
constexpr uint32_t kMedeleg = 0x302, kMideleg = 0x303, kMie = 0x304, kMtvec = 0x305, kMcounteren = 0x306;
constexpr uint32_t kMenvcfg = 0x30a, kMcountinhibit = 0x320, kMepc = 0x341, kMip = 0x344;
constexpr uint32_t kMcycle = 0xb00, kMinstret = 0xb02, kCycle = 0xc00, kTime = 0xc01, kInstret = 0xc02;
constexpr Privilege kPrivileges[] = {Privilege::kUser, Privilege::kSupervisor, Privilege::kMachine};

bool in(uint32_t number, uint32_t first, uint32_t last) {
    return number >= first && number <= last;
}

// The registers of the manual that this hart has, written down anew.
bool exists(uint32_t n) {
    constexpr uint32_t kSingle[] = {0x001, 0x002, 0x003, 0x015, 0x747, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140,
                                    0x141, 0x142, 0x143, 0x144, 0x14d, 0x180, 0x300, 0x301, 0x302, 0x303, 0x304,
                                    0x305, 0x306, 0x30a, 0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0xb00, 0xb02};
    if (std::find(std::begin(kSingle), std::end(kSingle), n) != std::end(kSingle)) return true;
    if (in(n, 0x3a0, 0x3af)) return n % 2 == 0;
    return in(n, 0x323, 0x33f) || in(n, 0x3b0, 0x3ef) || in(n, 0xb03, 0xb1f) || in(n, 0xc00, 0xc1f) ||
           in(n, 0xf11, 0xf15);
}

// They exist where there is a vector unit.
bool is_vector(uint32_t n) {
    return in(n, 0x008, 0x00a) || n == 0x00f || in(n, 0xc20, 0xc22);
}

// Those of Smaia and Ssaia, which a hart without interrupt files does not have.
bool is_aia(uint32_t n) {
    constexpr uint32_t kAia[] = {0x150, 0x151, 0x15c, 0xdb0, 0x308, 0x309, 0x350, 0x351, 0x35c, 0xfb0};
    return std::find(std::begin(kAia), std::end(kAia), n) != std::end(kAia);
}

class Csr : public ::testing::Test, public TestHart {
  protected:
    Csr() {
        poke(kMstatus, mstatus::kFs);
        poke(kMcounteren, kAllOnes), poke(kScounteren, kAllOnes);
        poke(kMenvcfg, kAllOnes);
        poke(csr_number::kMseccfg, kAllOnes);
    }
    void be(Privilege privilege) { hart.privilege = privilege; }
    uint64_t written(uint32_t csr, uint64_t value) {
        poke(csr, value);
        return peek(csr);
    }
    SystemResult access(uint32_t number, CsrOperation operation, uint64_t operand) {
        SystemContext c = context();
        return csr_access(c, number, operation, operand);
    }
};

TEST_F(Csr, AreThoseOfTheManualAtTheirPrivilegesAndNoOthers) {
    for (Privilege privilege : kPrivileges) {
        be(privilege);
        for (uint32_t n = 0; n < 4096; n++) {
            bool readable = exists(n) && static_cast<uint32_t>(privilege) >= (n >> 8 & 3);
            EXPECT_EQ(read(n).has_value(), readable) << std::hex << n;
            EXPECT_EQ(csr_writable(hart, n), readable && n >> 10 != 3) << std::hex << n;
        }
    }
}

TEST_F(Csr, HaveNamesExactlyWhenTheyExist) {
    std::map<std::string_view, uint32_t> names;
    for (uint32_t n = 0; n < 4096; n++) {
        bool odd_config = in(n, 0x3a0, 0x3af) && n % 2 == 1;
        if (!odd_config) {
            EXPECT_EQ(!csr_name(n).empty(), exists(n) || is_aia(n) || is_vector(n)) << std::hex << n;
        }
        if (!csr_name(n).empty()) {
            EXPECT_TRUE(names.emplace(csr_name(n), n).second) << csr_name(n);
        }
    }
    EXPECT_EQ(names.at("mstatus"), kMstatus);
    EXPECT_EQ(names.at("mhpmcounter3"), 0xb03u);
    EXPECT_EQ(names.at("mhpmevent31"), 0x33fu);
    EXPECT_EQ(names.at("pmpaddr63"), 0x3efu);
}

TEST_F(Csr, ThatAreReadOnlyRefuseWritesAndKeepTheirValue) {
    hart.id = 5;
    EXPECT_EQ(read(0xf14), 5u);
    for (uint32_t n : {0xc00u, 0xc01u, 0xc02u, 0xc1fu, 0xf11u, 0xf14u, 0xf15u}) {
        EXPECT_FALSE(write(n, 1)) << n;
        EXPECT_EQ(access(n, CsrOperation::kSet, 1).outcome, SystemResult::Outcome::kIllegal);
        EXPECT_EQ(access(n, CsrOperation::kRead, 1).outcome, SystemResult::Outcome::kNext);
    }
    EXPECT_EQ(read(0xf14), 5u);
}

TEST_F(Csr, AreNotChangedByAnAccessThatIsIllegal) {
    poke(kStvec, 0x1000);
    be(Privilege::kUser);
    EXPECT_FALSE(write(kStvec, 0x2000));
    EXPECT_EQ(access(kStvec, CsrOperation::kWrite, 0x2000).outcome, SystemResult::Outcome::kIllegal);
    EXPECT_EQ(peek(kStvec), 0x1000u);
    EXPECT_EQ(engine.context_changes, 0);
}

TEST_F(Csr, MisaSaysAbcdfimsuAndStays) {
    constexpr uint64_t kExpected = uint64_t{2} << 62 | 1 | 2 | 4 | 8 | 32 | 256 | 1 << 12 | 1 << 18 | 1 << 20;
    EXPECT_EQ(read(kMisaNumber), kExpected);
    EXPECT_TRUE(write(kMisaNumber, 0));
    EXPECT_EQ(read(kMisaNumber), kExpected);
}

TEST_F(Csr, MstatusKeepsItsFieldsAndNoOthers) {
    constexpr uint64_t kFixed = mstatus::kUxl64 | mstatus::kSxl64;
    EXPECT_EQ(written(kMstatus, 0), kFixed);
    // SIE MIE SPIE MPIE SPP MPP FS MPRV SUM MXR TVM TW TSR, and SD from FS; no VS, XS, UBE, SBE, MBE.
    EXPECT_EQ(written(kMstatus, kAllOnes), kFixed | 0x8000'0000'007e'79aa);
    EXPECT_EQ(written(kMstatus, mstatus::kFs & ~(uint64_t{1} << 13)), kFixed | 2 << 13) << "SD only when dirty";
}

TEST_F(Csr, MseccfgHasTheEnablesOfTheEntropySource) {
    EXPECT_EQ(written(csr_number::kMseccfg, 0), 0u);
    EXPECT_EQ(written(csr_number::kMseccfg, kAllOnes), 0x300u);
}

TEST_F(Csr, SeedIsForThePrivilegesThatMseccfgEnables) {
    for (uint64_t enables : {uint64_t{0}, mseccfg::kUseed, mseccfg::kSseed, mseccfg::kMask}) {
        be(Privilege::kMachine);
        poke(csr_number::kMseccfg, enables);
        for (Privilege privilege : kPrivileges) {
            be(privilege);
            uint64_t needed = privilege == Privilege::kUser ? mseccfg::kUseed : mseccfg::kSseed;
            bool allowed = privilege == Privilege::kMachine || (enables & needed) != 0;
            auto expected = allowed ? SystemResult::Outcome::kNext : SystemResult::Outcome::kIllegal;
            EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kWrite, 0).outcome, expected) << enables;
            EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kSet, 1).outcome, expected) << enables;
            EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kRead, 0).outcome, SystemResult::Outcome::kIllegal);
        }
    }
}

TEST_F(Csr, SeedIgnoresWhatIsWrittenAndTakesEachWordFromTheSource) {
    time.next_entropy = 0xffff;
    EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kWrite, kAllOnes).value, 0x8000ffffu);
    time.next_entropy = 0x0001;
    EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kClear, kAllOnes).value, 0x80000001u);
    time.next_entropy = std::nullopt;
    EXPECT_EQ(access(csr_number::kSeed, CsrOperation::kWrite, 0).value, 0xc0000000u) << "OPST DEAD, and no entropy";
}

TEST_F(Csr, MppDoesNotTakeTheReservedPrivilege) {
    EXPECT_EQ(written(kMstatus, 1 << 11) & mstatus::kMpp, 1u << 11);
    EXPECT_EQ(written(kMstatus, 2 << 11 | mstatus::kMie) & (mstatus::kMpp | mstatus::kMie), 1u << 11 | mstatus::kMie);
    EXPECT_EQ(written(kMstatus, 3 << 11) & mstatus::kMpp, 3u << 11);
}

TEST_F(Csr, SstatusIsTheSupervisorsViewOfMstatus) {
    poke(kMstatus, kAllOnes);
    // SIE SPIE SPP FS SUM MXR UXL SD
    EXPECT_EQ(peek(kSstatus), 0x8000'0002'000c'6122);
    be(Privilege::kSupervisor);
    EXPECT_TRUE(write(kSstatus, 0));
    EXPECT_EQ(peek(kMstatus), mstatus::kUxl64 | mstatus::kSxl64 | 0x72'1888) << "MIE MPIE MPP MPRV TVM TW TSR stay";
    EXPECT_TRUE(write(kSstatus, kAllOnes));
    EXPECT_EQ(peek(kSstatus), 0x8000'0002'000c'6122);
}

TEST_F(Csr, SieShowsAndChangesDelegatedInterruptsOnly) {
    EXPECT_EQ(written(kMie, kAllOnes), irq::kMachineAll | irq::kSupervisorAll);
    poke(kMideleg, irq::bit(irq::kSupervisorTimer));
    EXPECT_EQ(peek(kSie), irq::bit(irq::kSupervisorTimer));
    poke(kSie, 0);
    EXPECT_EQ(peek(kMie), (irq::kMachineAll | irq::kSupervisorAll) & ~irq::bit(irq::kSupervisorTimer));
    poke(kMie, 0);
    poke(kSie, kAllOnes);
    EXPECT_EQ(peek(kMie), irq::bit(irq::kSupervisorTimer));
}

TEST_F(Csr, SipLetsTheSupervisorWriteADelegatedSsipOnly) {
    poke(kMenvcfg, 0);
    poke(kMip, kAllOnes);
    EXPECT_EQ(peek(kMip), irq::kSupervisorAll);
    EXPECT_EQ(peek(kSip), 0u);
    poke(kSip, 0);
    EXPECT_EQ(peek(kMip), irq::kSupervisorAll) << "nothing is delegated";
    poke(kMideleg, irq::kSupervisorAll);
    be(Privilege::kSupervisor);
    EXPECT_EQ(read(kSip), irq::kSupervisorAll);
    EXPECT_TRUE(write(kSip, 0));
    EXPECT_EQ(read(kSip), irq::kSupervisorAll & ~irq::bit(irq::kSupervisorSoftware));
}

TEST_F(Csr, MipOrsTheLineIntoSeipButSetAndClearDoNotLatchIt) {
    constexpr uint64_t kSeip = irq::bit(irq::kSupervisorExternal);
    hart.lines.store(kSeip | irq::bit(irq::kMachineTimer));
    SystemResult result = access(kMip, CsrOperation::kSet, irq::bit(irq::kSupervisorSoftware));
    EXPECT_EQ(result.value, kSeip | irq::bit(irq::kMachineTimer));
    hart.lines.store(0);
    EXPECT_EQ(peek(kMip), irq::bit(irq::kSupervisorSoftware));
    access(kMip, CsrOperation::kSet, kSeip);
    EXPECT_EQ(peek(kMip), irq::bit(irq::kSupervisorSoftware) | kSeip);
    access(kMip, CsrOperation::kClear, kSeip);
    EXPECT_EQ(peek(kMip), irq::bit(irq::kSupervisorSoftware));
    access(kMip, CsrOperation::kWrite, kSeip);
    EXPECT_EQ(peek(kMip), kSeip);
}

TEST_F(Csr, MipLosesNoInterruptThatAnotherHartRaisesMeanwhile) {
    poke(kMenvcfg, 0);
    constexpr uint64_t kSsip = irq::bit(irq::kSupervisorSoftware), kStip = irq::bit(irq::kSupervisorTimer);
    std::atomic<int> lost{0}, raised{0};
    std::atomic<bool> done{false};
    std::thread other([&] {
        while (!done) {
            hart.pending.fetch_or(kSsip);
            if (!(hart.pending.fetch_and(~kSsip) & kSsip)) lost++;
            raised++;
        }
    });
    constexpr int kRounds = 20'000;
    while (raised < kRounds) {
        access(kMip, CsrOperation::kSet, kStip);
        access(kMip, CsrOperation::kClear, kStip);
    }
    done = true;
    other.join();
    EXPECT_EQ(lost, 0);
}

TEST_F(Csr, DelegationTakesWhatSupervisorsCanHandle) {
    EXPECT_EQ(written(kMedeleg, kAllOnes), 0xb3ffu) << "no environment call from M-mode, no reserved causes";
    EXPECT_EQ(written(kMideleg, kAllOnes), irq::kSupervisorAll);
}

TEST_F(Csr, TrapVectorsKeepTheirValueWhenTheModeIsReserved) {
    for (uint32_t tvec : {kMtvec, kStvec}) {
        EXPECT_EQ(written(tvec, 0x8000'0001), 0x8000'0001u);
        EXPECT_EQ(written(tvec, 0x9000'0002), 0x8000'0001u);
        EXPECT_EQ(written(tvec, 0x9000'0003), 0x8000'0001u);
        EXPECT_EQ(written(tvec, kAllOnes << 2), kAllOnes << 2);
    }
}

TEST_F(Csr, ExceptionPcsAreEven) {
    EXPECT_EQ(written(kMepc, kAllOnes), kAllOnes - 1);
    EXPECT_EQ(written(kSepc, 0x1003), 0x1002u);
}

TEST_F(Csr, PlainRegistersKeepEveryBit) {
    for (uint32_t n : {0x140u, 0x142u, 0x143u, 0x340u, 0x342u, 0x343u, kStimecmp}) {
        EXPECT_EQ(written(n, 0x0123'4567'89ab'cdef), 0x0123'4567'89ab'cdefu) << std::hex << n;
        EXPECT_EQ(written(n, kAllOnes), kAllOnes) << std::hex << n;
    }
}

TEST_F(Csr, EnvironmentConfigurationTakesItsFieldsAndNoReservedCbie) {
    EXPECT_EQ(written(kMenvcfg, kAllOnes), 0xe000'0000'0000'00f1);
    EXPECT_EQ(written(kSenvcfg, kAllOnes), 0xf1u);
    EXPECT_EQ(written(kSenvcfg, 2 << 4 | 1), 0x31u) << "CBIE stays, FIOM is taken";
    EXPECT_EQ(written(kSenvcfg, 1 << 4), 0x10u);
}

TEST_F(Csr, MenvcfgAndPmpVoidCachedTranslations) {
    for (uint32_t n : {kMenvcfg, 0x3a0u, 0x3b0u}) {
        uint32_t version = hart.translation_version;
        poke(n, 0);
        EXPECT_NE(hart.translation_version, version) << std::hex << n;
    }
}

TEST_F(Csr, SatpTakesSupportedModesWholeAndIgnoresOthersWhole) {
    for (uint64_t mode : {0, 8, 9, 10}) EXPECT_EQ(written(kSatp, mode << 60 | 0x123), mode << 60 | 0x123);
    poke(kSatp, uint64_t{8} << 60 | uint64_t{0xffff} << 44 | 0xfff'ffff'ffff);
    for (uint64_t mode : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
        EXPECT_EQ(written(kSatp, mode << 60 | 1), uint64_t{8} << 60 | uint64_t{0xffff} << 44 | 0xfff'ffff'ffff) << mode;
    }
}

TEST_F(Csr, TvmTakesSatpFromTheSupervisorOnly) {
    poke(kMstatus, mstatus::kTvm);
    be(Privilege::kSupervisor);
    EXPECT_FALSE(read(kSatp));
    EXPECT_FALSE(write(kSatp, 0));
    be(Privilege::kMachine);
    EXPECT_TRUE(read(kSatp));
}

TEST_F(Csr, FloatRegistersNeedFsAndMakeItDirty) {
    poke(kMstatus, 0);
    for (uint32_t n : {1u, 2u, 3u}) {
        EXPECT_FALSE(read(n));
        EXPECT_FALSE(write(n, 0));
    }
    poke(kMstatus, 1 << 13);
    EXPECT_EQ(read(3), 0u);
    EXPECT_EQ(peek(kMstatus) & mstatus::kFs, 1u << 13) << "reading leaves FS";
    EXPECT_TRUE(write(3, kAllOnes));
    EXPECT_EQ(peek(kMstatus) & (mstatus::kFs | mstatus::kSd), mstatus::kFs | mstatus::kSd);
    EXPECT_EQ(read(1), 31u);
    EXPECT_EQ(read(2), 7u);
    EXPECT_EQ(read(3), 0xffu);
    EXPECT_TRUE(write(2, 1));
    EXPECT_EQ(read(3), 0x3fu);
    EXPECT_TRUE(write(1, 0));
    EXPECT_EQ(read(3), 0x20u);
}

TEST_F(Csr, CountersAreEnabledByMcounterenAndForUsersByScounterenToo) {
    for (unsigned index = 0; index < 32; index++) {
        for (unsigned enables = 0; enables < 4; enables++) {
            uint64_t bit = uint64_t{1} << index;
            poke(kMcounteren, enables & 1 ? bit : ~bit);
            poke(kScounteren, enables & 2 ? bit : ~bit);
            be(Privilege::kMachine);
            EXPECT_TRUE(read(kCycle + index));
            be(Privilege::kSupervisor);
            EXPECT_EQ(read(kCycle + index).has_value(), (enables & 1) != 0) << index;
            be(Privilege::kUser);
            EXPECT_EQ(read(kCycle + index).has_value(), enables == 3) << index;
        }
    }
    EXPECT_EQ(written(kMcounteren, kAllOnes), 0xffff'ffffu);
}

TEST_F(Csr, CountersCountRetiredInstructionsAndTimeIsThePlatforms) {
    hart.retired = 1000;
    time.ticks = 77;
    EXPECT_EQ(read(kCycle), 1000u);
    EXPECT_EQ(read(kInstret), 1000u);
    EXPECT_EQ(read(kTime), 77u);
}

TEST_F(Csr, AWrittenCounterIsSeenByTheNextInstruction) {
    hart.retired = 1000;
    EXPECT_TRUE(write(kMinstret, 5));
    hart.retired++;  // the write itself
    EXPECT_EQ(read(kInstret), 5u);
    hart.retired += 10;
    EXPECT_EQ(read(kInstret), 15u);
    EXPECT_EQ(read(kMcycle), 1011u);
}

TEST_F(Csr, AnInhibitedCounterStandsStillAndTakesWrites) {
    hart.retired = 100;
    EXPECT_EQ(written(kMcountinhibit, kAllOnes), 5u) << "time cannot be inhibited, event counters do not exist";
    hart.retired = 200;
    EXPECT_EQ(read(kMinstret), 100u);
    EXPECT_TRUE(write(kMinstret, 7));
    hart.retired = 300;
    EXPECT_EQ(read(kMinstret), 7u);
    EXPECT_EQ(read(kMcycle), 100u);
    EXPECT_TRUE(write(kMcountinhibit, 4));
    hart.retired = 400;
    EXPECT_EQ(read(kMcycle), 200u);
    EXPECT_EQ(read(kMinstret), 7u);
}

TEST_F(Csr, EventCountersReadZero) {
    for (uint32_t n : {0xb03u, 0xb1fu, 0x323u, 0x33fu}) EXPECT_EQ(written(n, kAllOnes), 0u);
    EXPECT_EQ(read(0xc03), 0u);
}

TEST_F(Csr, StimecmpNeedsStceAndTheTimeCounterOutsideMachineMode) {
    for (unsigned enables = 0; enables < 4; enables++) {
        poke(kMenvcfg, enables & 1 ? envcfg::kStce : ~envcfg::kStce & envcfg::kMachineMask);
        poke(kMcounteren, enables & 2 ? 2 : ~uint64_t{2});
        be(Privilege::kMachine);
        EXPECT_TRUE(read(kStimecmp));
        be(Privilege::kSupervisor);
        EXPECT_EQ(read(kStimecmp).has_value(), enables == 3);
        EXPECT_EQ(write(kStimecmp, 9), enables == 3);
        be(Privilege::kUser);
        EXPECT_FALSE(read(kStimecmp));
    }
}

TEST_F(Csr, StimecmpDrivesStipWhileStceIsSet) {
    constexpr uint64_t kStip = irq::bit(irq::kSupervisorTimer);
    time.ticks = 99;
    poke(kStimecmp, 100);
    EXPECT_EQ(peek(kMip), 0u);
    time.ticks = 100;
    EXPECT_EQ(peek(kMip), kStip);
    poke(kMip, 0);
    EXPECT_EQ(peek(kMip), kStip) << "software cannot clear it";
    poke(kStimecmp, 101);
    poke(kMip, kStip);
    EXPECT_EQ(peek(kMip), 0u) << "nor set it";
    poke(kMenvcfg, 0);
    EXPECT_EQ(written(kMip, kStip), kStip) << "without Sstc it is software's";
}

TEST_F(Csr, AnyWriteEndsTheReservationAndTellsTheEngine) {
    hart.reservation = {0x1000, 5, 8};
    access(0x140, CsrOperation::kRead, 0);
    EXPECT_EQ(hart.reservation.bytes, 8);
    EXPECT_EQ(engine.context_changes, 0);
    access(kSatp, CsrOperation::kWrite, 0);
    EXPECT_EQ(hart.reservation.bytes, 0);
    EXPECT_EQ(engine.context_changes, 1);
}

TEST_F(Csr, SetAndClearGiveTheOldValueAndChangeTheNamedBits) {
    poke(0x140, 0b1100);
    EXPECT_EQ(access(0x140, CsrOperation::kSet, 0b0011).value, 0b1100u);
    EXPECT_EQ(access(0x140, CsrOperation::kClear, 0b1001).value, 0b1111u);
    EXPECT_EQ(access(0x140, CsrOperation::kRead, 0b1111).value, 0b0110u);
    EXPECT_EQ(access(0x140, CsrOperation::kWrite, 1).value, 0b0110u);
    EXPECT_EQ(peek(0x140), 1u);
}

}  // namespace
}  // namespace doppel::isa::riscv
