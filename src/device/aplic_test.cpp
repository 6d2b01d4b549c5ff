#include "device/aplic.h"

#include "device/aplic_testing.h"

namespace doppel::device {
namespace {

using namespace aplic_testing;

TEST_F(AplicTest, DomaincfgHasItsTwoFields) {
    EXPECT_EQ(read(kDomaincfg), kFixed);
    write(kDomaincfg, 0xffffffff);
    EXPECT_EQ(read(kDomaincfg), kFixed | kIe | kDm);
    EXPECT_EQ(read_s(kDomaincfg), kFixed);
}

TEST_F(AplicTest, SourceModesAreThoseOfTheSpecification) {
    for (uint32_t value = 0; value < 8; value++) {
        write(sourcecfg(1), value | 0xfffff800);
        EXPECT_EQ(read(sourcecfg(1)), value == 2 || value == 3 ? 0 : value);
    }
    for (uint32_t source : {0u, 41u, 1023u}) {
        if (source != 0) write(sourcecfg(source), kEdge1);
        write(target(source), 0xffffffff);
        write(kSetienum, source);
        write(kSetipnum, source);
        EXPECT_EQ(read(target(source)), 0u);
    }
    EXPECT_EQ(read(sourcecfg(41)), 0u);
    EXPECT_EQ(read(kSetip + 4), 0u);
    EXPECT_EQ(read(kSetie + 4), 0u);
}

TEST_F(AplicTest, InactiveSourceHasNothing) {
    direct(kEdge1);
    write(kSetipnum, kSource);
    EXPECT_TRUE(pending());
    write(sourcecfg(kSource), kInactive);
    EXPECT_FALSE(pending());
    EXPECT_EQ(read(kSetie + kWord), 0u);
    EXPECT_EQ(read(target(kSource)), 0u);
    EXPECT_FALSE(lines.level(1));
    write(kSetienum, kSource), write(kSetipnum, kSource), write(target(kSource), to_hart(1, 3));
    EXPECT_FALSE(pending());
    EXPECT_EQ(read(target(kSource)), 0u);
}

TEST_F(AplicTest, TargetTakesWhatItsDeliveryModeHas) {
    write(sourcecfg(kSource), kDetached);
    EXPECT_EQ(read(target(kSource)), 1u) << "no priority is zero";
    write(target(kSource), 0xffffffff);
    EXPECT_EQ(read(target(kSource)), 0xfffc00ff);
    write(target(kSource), to_hart(5, 0));
    EXPECT_EQ(read(target(kSource)), to_hart(5, 1));
    write(kDomaincfg, kDm);
    write(target(kSource), 0xffffffff);
    EXPECT_EQ(read(target(kSource)), 0xfffc07ff);
    write(target(kSource), to_hart(2, 0x700));
    write(kDomaincfg, 0);
    EXPECT_EQ(read(target(kSource)), to_hart(2, 1));
}

TEST_F(AplicTest, EnableBitsByMaskAndByNumber) {
    write(sourcecfg(3), kDetached), write(sourcecfg(5), kDetached);
    write(kSetie, 0xffffffff);
    EXPECT_EQ(read(kSetie), 1u << 3 | 1u << 5);
    write(kClrienum, 3);
    EXPECT_EQ(read(kSetie), 1u << 5);
    write(kSetienum, 3), write(kClrie, 1u << 5);
    EXPECT_EQ(read(kSetie), 1u << 3);
    for (uint64_t offset : {kClrie, kSetienum, kClrienum, kSetipnum, kClripnum, kSetipnumLe}) {
        EXPECT_EQ(read(offset), 0u);
    }
}

TEST_F(AplicTest, PendingBitsByMaskAndByNumber) {
    write(sourcecfg(3), kDetached), write(sourcecfg(5), kEdge1), write(sourcecfg(7), kEdge1);
    write(kSetip, 1u << 3 | 1u << 4 | 1u << 5);
    EXPECT_EQ(read(kSetip), 1u << 3 | 1u << 5);
    write(kClripnum, 3), write(kSetipnumLe, 7);
    EXPECT_EQ(read(kSetip), 1u << 5 | 1u << 7);
    write(kSetipnumBe, 3u << 24);
    EXPECT_EQ(read(kSetip), 1u << 5 | 1u << 7) << "little-endian only";
    write(kInClrip, 1u << 5);
    EXPECT_EQ(read(kSetip), 1u << 7);
}

TEST_F(AplicTest, InputsAreRectified) {
    write(sourcecfg(1), kEdge1), write(sourcecfg(2), kEdge0), write(sourcecfg(3), kLevel1);
    write(sourcecfg(4), kLevel0), write(sourcecfg(5), kDetached);
    EXPECT_EQ(read(kInClrip), 1u << 2 | 1u << 4);
    for (uint32_t source = 1; source <= 6; source++) aplic.set_level(source, true);
    EXPECT_EQ(read(kInClrip), 1u << 1 | 1u << 3);
}

// ---- Direct delivery

TEST_F(AplicTest, LevelIsDirectlyWhatTheWireIs) {
    direct(kLevel1);
    write(kSetipnum, kSource);
    EXPECT_FALSE(pending());
    wire(true);
    EXPECT_TRUE(lines.level(1));
    EXPECT_EQ(read(Idc::topi(1)), kSource << 16 | 7);
    EXPECT_EQ(read(Idc::claimi(1)), kSource << 16 | 7);
    write(kClripnum, kSource);
    EXPECT_TRUE(lines.level(1)) << "neither a claim nor a write clears it";
    wire(false);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(read(Idc::claimi(1)), 0u);
    EXPECT_FALSE(lines.level(0));
}

TEST_F(AplicTest, InvertedLevelInterruptsWhenLow) {
    direct(kLevel0);
    EXPECT_TRUE(lines.level(1));
    wire(true);
    EXPECT_FALSE(lines.level(1));
}

TEST_F(AplicTest, EdgeStaysPendingUntilItIsClaimed) {
    direct(kEdge1);
    wire(true), wire(false);
    EXPECT_TRUE(lines.level(1));
    EXPECT_EQ(read(Idc::claimi(1)) >> 16, kSource);
    EXPECT_FALSE(lines.level(1));
    wire(true);
    EXPECT_TRUE(lines.level(1));
    read(Idc::claimi(1));
    write(sourcecfg(kSource), kEdge0);
    EXPECT_FALSE(pending());
    wire(false);
    EXPECT_TRUE(pending());
}

TEST_F(AplicTest, DetachedSourceHasNoWire) {
    direct(kDetached);
    wire(true);
    EXPECT_FALSE(pending());
    write(kSetipnum, kSource);
    EXPECT_TRUE(lines.level(1));
    EXPECT_EQ(read(Idc::claimi(1)) >> 16, kSource);
    EXPECT_FALSE(pending());
}

TEST_F(AplicTest, LeastPriorityNumberThenLeastSourceIsFirst) {
    direct(kDetached);
    for (uint32_t source : {4u, 9u, 2u}) {
        write(sourcecfg(source), kDetached);
        write(target(source), to_hart(1, source == 2 ? 8 : 6));
        write(kSetienum, source), write(kSetipnum, source);
    }
    write(kSetipnum, kSource);
    std::vector<uint32_t> order;
    while (uint32_t claimed = read(Idc::claimi(1))) order.push_back(claimed >> 16);
    EXPECT_EQ(order, (std::vector<uint32_t>{4, 9, kSource, 2}));
}

TEST_F(AplicTest, ThresholdLetsLesserNumbersPassOnly) {
    direct(kLevel1);
    wire(true);
    write(Idc::ithreshold(1), 7);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(read(Idc::topi(1)), 0u);
    write(Idc::ithreshold(1), 8);
    EXPECT_TRUE(lines.level(1));
    write(target(kSource), to_hart(1, 255));
    EXPECT_FALSE(lines.level(1));
    write(Idc::ithreshold(1), 0x100);
    EXPECT_EQ(read(Idc::ithreshold(1)), 0u);
    EXPECT_TRUE(lines.level(1)) << "no threshold";
}

TEST_F(AplicTest, SignalNeedsEveryEnable) {
    direct(kLevel1);
    wire(true);
    write(kDomaincfg, 0);
    EXPECT_FALSE(lines.level(1));
    EXPECT_NE(read(Idc::topi(1)), 0u) << "what is on top does not depend on them";
    write(kDomaincfg, kIe);
    EXPECT_TRUE(lines.level(1));
    write(Idc::idelivery(1), 0);
    EXPECT_FALSE(lines.level(1));
    write(Idc::idelivery(1), 0xffffffff);
    EXPECT_EQ(read(Idc::idelivery(1)), 1u);
    write(kClrienum, kSource);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(read(Idc::topi(1)), 0u);
}

TEST_F(AplicTest, ForcedInterruptIsSpuriousAndEndsWithItsClaim) {
    write(kDomaincfg, kIe), write(Idc::idelivery(0), 1);
    write(Idc::iforce(0), 1);
    EXPECT_TRUE(lines.level(0));
    EXPECT_EQ(read(Idc::claimi(0)), 0u);
    EXPECT_FALSE(lines.level(0));
    EXPECT_EQ(read(Idc::iforce(0)), 0u);
}

TEST_F(AplicTest, HartsThatDoNotExistGetNothing) {
    direct(kLevel1);
    wire(true);
    write(target(kSource), to_hart(2, 7));
    EXPECT_FALSE(lines.level(0));
    EXPECT_FALSE(lines.level(1));
    write(Idc::idelivery(2), 1);
    EXPECT_EQ(read(Idc::idelivery(2)), 0u);
    EXPECT_EQ(read(Idc::topi(100)), 0u);
}

// ---- Delegation

TEST_F(AplicTest, DelegatedSourceBelongsToTheSupervisor) {
    write_s(sourcecfg(kSource), kLevel1);
    EXPECT_EQ(read_s(sourcecfg(kSource)), 0u) << "not delegated yet";
    direct(kLevel1);
    wire(true);
    EXPECT_TRUE(lines.level(1));
    write(sourcecfg(kSource), Aplic::kDelegate | 0x3ff);
    EXPECT_EQ(read(sourcecfg(kSource)), Aplic::kDelegate);
    EXPECT_FALSE(lines.level(1));
    EXPECT_FALSE(pending());
    EXPECT_EQ(read(target(kSource)), 0u);
    EXPECT_EQ(read_s(sourcecfg(kSource)), 0u);

    write_s(kDomaincfg, kIe), write_s(sourcecfg(kSource), kLevel1), write_s(kSetienum, kSource);
    write_s(Idc::idelivery(0), 1);
    EXPECT_TRUE(lines.level(10));
    write_s(sourcecfg(kSource), Aplic::kDelegate);
    EXPECT_EQ(read_s(sourcecfg(kSource)), 0u) << "a leaf has nobody to delegate to";
    write_s(sourcecfg(kSource), kLevel1), write_s(kSetienum, kSource);
    EXPECT_TRUE(lines.level(10));

    write(sourcecfg(kSource), kEdge1);
    EXPECT_FALSE(lines.level(10)) << "taken back";
    EXPECT_EQ(read_s(sourcecfg(kSource)), 0u);
    EXPECT_EQ(read_s(kSetie + kWord), 0u);
}

TEST_F(AplicTest, SupervisorsMessagesGoToItsOwnFiles) {
    write(Aplic::kSupervisorAddress, 0x28000);
    write(Aplic::kMachineAddressHigh, Aplic::kAddressLock | 1 << Aplic::kHartWidthShift);
    write(sourcecfg(kSource), Aplic::kDelegate);
    write_s(kDomaincfg, kIe | kDm), write_s(sourcecfg(kSource), kEdge1);
    write_s(target(kSource), to_hart(1, 9)), write_s(kSetienum, kSource);
    wire(true);
    EXPECT_EQ(messages.take(), (std::vector{RecordedMessages::Message{0x28001000, 9}}));
}

// ---- The rest

TEST_F(AplicTest, OtherAccessesReadZeroAndAreIgnored) {
    direct(kLevel1);
    for (unsigned bytes : {1u, 2u, 8u}) {
        std::lock_guard guard(aplic.machine().lock());
        EXPECT_EQ(aplic.machine().read(kDomaincfg, bytes), 0u);
        aplic.machine().write(kDomaincfg, bytes, 0);
    }
    EXPECT_EQ(read(kDomaincfg), kFixed | kIe);
    for (uint64_t offset = 0x1000; offset < 0x3000; offset += 4) {
        bool known = (offset >= kSetip && offset < kSetipnumBe) || (offset >= 0x1bc0 && offset < 0x1bd0);
        if (known) continue;
        write(offset, 0xffffffff);
        EXPECT_EQ(read(offset), 0u) << std::hex << offset;
    }
    for (uint64_t offset = 0x4040; offset < Aplic::kSize; offset += 4) EXPECT_EQ(read(offset), 0u);
}

TEST_F(AplicTest, WiresThatDoNotExistAreIgnored) {
    aplic.set_level(0, true), aplic.set_level(41, true), aplic.set_level(0xffffffff, true);
    EXPECT_EQ(read(kInClrip), 0u);
}

TEST_F(AplicTest, ResetLeavesTheWiresAlone) {
    by_message(kLevel1);
    write(sourcecfg(1), Aplic::kDelegate);
    write_s(sourcecfg(1), kLevel1);
    wire(true);
    messages.take();
    for (Device* domain : {&aplic.machine(), &aplic.supervisor()}) {
        std::lock_guard guard(domain->lock());
        domain->reset();
    }
    EXPECT_EQ(read(kDomaincfg), kFixed);
    EXPECT_EQ(read(sourcecfg(kSource)), 0u);
    EXPECT_EQ(read_s(sourcecfg(1)), 0u);
    EXPECT_EQ(read(Aplic::kMachineAddress), 0u);
    direct(kLevel1);
    EXPECT_TRUE(lines.level(1));
}

TEST_F(AplicTest, StateSurvivesSaveAndRestore) {
    direct(kLevel1);
    wire(true);
    write(sourcecfg(2), Aplic::kDelegate);
    write_s(sourcecfg(2), kEdge1), write_s(target(2), to_hart(0, 3));
    aplic.set_level(2, true);
    write(Aplic::kSupervisorAddress, 0x28000);
    AplicParts other;
    ASSERT_TRUE(restore(other.aplic, saved(aplic)).has_value());
    EXPECT_EQ(saved(other.aplic), saved(aplic));
    EXPECT_TRUE(other.lines.level(1));
    EXPECT_EQ(other.read(true, Idc::topi(1)), kSource << 16 | 7);
    EXPECT_EQ(other.read(false, kSetip), 1u << 2);
    EXPECT_EQ(other.read(true, Aplic::kSupervisorAddress), 0x28000u);
    other.aplic.set_level(kSource, false);
    EXPECT_FALSE(other.lines.level(1));
}

TEST_F(AplicTest, StateOfAnotherSizeIsRefusedAndChangesNothing) {
    direct(kLevel1);
    auto before = saved(aplic);
    std::vector<Aplic::HartLines> two(2), three(3);
    for (auto& [harts, sources] : {std::pair{three, 40u}, std::pair{two, 41u}, std::pair{two, 300u}}) {
        Aplic other(harts, messages, sources);
        auto result = restore(aplic, saved(other));
        ASSERT_FALSE(result.has_value());
        EXPECT_NE(result.error().message().find("aplic"), std::string::npos);
        EXPECT_EQ(saved(aplic), before);
    }
}

}  // namespace
}  // namespace doppel::device
