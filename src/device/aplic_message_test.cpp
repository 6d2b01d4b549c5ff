#include "device/aplic_testing.h"

namespace doppel::device {
namespace {

using namespace aplic_testing;
using AplicMessageTest = AplicTest;

TEST_F(AplicMessageTest, EdgeIsForwardedOnce) {
    by_message(kEdge1);
    wire(true);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
    EXPECT_FALSE(pending());
    wire(false);
    EXPECT_TRUE(messages.take().empty());
    EXPECT_FALSE(lines.level(1));
}

TEST_F(AplicMessageTest, LevelIsForwardedOnceAndAgainOnRequestWhileHigh) {
    by_message(kLevel1);
    wire(true);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
    EXPECT_FALSE(pending());
    // The handler has served one cause; another one holds the wire.
    write(kSetipnumLe, kSource);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
    wire(false);
    write(kSetipnumLe, kSource);
    EXPECT_TRUE(messages.take().empty());
    wire(true);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
}

TEST_F(AplicMessageTest, LevelThatFallsBeforeItIsForwardedIsGone) {
    by_message(kLevel1);
    write(kClrienum, kSource);
    wire(true);
    EXPECT_TRUE(pending());
    wire(false);
    EXPECT_FALSE(pending());
    wire(true);
    write(kClripnum, kSource);
    EXPECT_FALSE(pending());
    write(kSetienum, kSource);
    EXPECT_TRUE(messages.take().empty());
}

TEST_F(AplicMessageTest, WhatIsPendingIsForwardedWhenItIsEnabled) {
    by_message(kEdge1);
    write(kDomaincfg, kDm);
    wire(true);
    EXPECT_TRUE(pending());
    write(kDomaincfg, kDm | kIe);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
    write(kClrie + kWord, kBit);
    write(kSetipnum, kSource);
    EXPECT_TRUE(messages.take().empty());
    write(kSetie + kWord, kBit);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
}

TEST_F(AplicMessageTest, SourceThatIsHighWhenItBecomesLevelSensitiveIsForwarded) {
    wire(true);
    by_message(kLevel1);
    EXPECT_EQ(messages.take(), std::vector{kMessage});
    write(sourcecfg(kSource), kLevel1);
    EXPECT_TRUE(messages.take().empty());
}

TEST_F(AplicMessageTest, DirectLevelBecomesMessageAndBack) {
    direct(kLevel1);
    wire(true);
    write(Aplic::kMachineAddress, 0x24000);
    write(kDomaincfg, kIe | kDm);
    EXPECT_EQ(messages.take().size(), 1u);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(read(Idc::claimi(1)), 0u);
    EXPECT_FALSE(pending());
    write(kDomaincfg, kIe);
    EXPECT_TRUE(pending()) << "a copy of the wire";
    EXPECT_TRUE(lines.level(1));
}

TEST_F(AplicMessageTest, GenmsiSendsAtOnceWhateverTheEnable) {
    by_message(kEdge1);
    write(kDomaincfg, kDm);
    write(kGenmsi, to_hart(1, 0x1812));
    EXPECT_EQ(messages.take(), (std::vector{RecordedMessages::Message{0x24001000, 0x12}}));
    EXPECT_EQ(read(kGenmsi), to_hart(1, 0x12)) << "not busy";
    write(kDomaincfg, 0);
    EXPECT_EQ(read(kGenmsi), 0u);
    write(kGenmsi, to_hart(1, 9));
    EXPECT_TRUE(messages.take().empty());
}

TEST_F(AplicMessageTest, MessageAddressesFollowGroupsAndShifts) {
    write(kDomaincfg, kDm);
    // LHXW 2, HHXW 1, LHXS 3, HHXS 4; hart index 6 is hart 2 of group 1.
    write(Aplic::kMachineAddress, 0x8000'0000);
    write(Aplic::kMachineAddressHigh, 2 << 12 | 1 << 16 | 3 << 20 | 4 << 24 | 0x001);
    write(kGenmsi, to_hart(6, 1));
    EXPECT_EQ(messages.take().at(0).first, (uint64_t{0x1'8000'0000} | 1 << 16 | 2 << 3) << 12);
    // The supervisor's take shape of groups from the machine's, the rest from its own.
    write(Aplic::kSupervisorAddress, 0x28000), write(Aplic::kSupervisorAddressHigh, 1 << 20);
    write_s(kDomaincfg, kDm);
    write_s(kGenmsi, to_hart(6, 1));
    EXPECT_EQ(messages.take().at(0).first, (uint64_t{0x28000} | 1 << 16 | 2 << 1) << 12);
}

TEST_F(AplicMessageTest, MessageAddressesHaveTheirFieldsAndCanBeLocked) {
    for (uint64_t offset = Aplic::kMachineAddress; offset <= Aplic::kSupervisorAddressHigh; offset += 4) {
        write_s(offset, 0x1234);
        EXPECT_EQ(read_s(offset), 0u) << "the root domain's alone";
    }
    write(Aplic::kSupervisorAddressHigh, 0xffffffff);
    EXPECT_EQ(read(Aplic::kSupervisorAddressHigh), 0x00700fffu);
    write(Aplic::kMachineAddress, 0xffffffff);
    write(Aplic::kMachineAddressHigh, 0xffffffff);
    EXPECT_EQ(read(Aplic::kMachineAddressHigh), 0x9f77ffffu);
    for (uint64_t offset = Aplic::kMachineAddress; offset <= Aplic::kSupervisorAddressHigh; offset += 4) {
        uint32_t before = read(offset);
        write(offset, 0x1111);
        EXPECT_EQ(read(offset), before);
    }
    write(kDomaincfg, kDm);
    write(kGenmsi, 0xffffffff);
    EXPECT_EQ(messages.take().size(), 1u) << "somewhere";
}

}  // namespace
}  // namespace doppel::device
