#include "device/imsic.h"

#include <gtest/gtest.h>

#include <thread>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

using isa::riscv::InterruptFile;

constexpr uint64_t kAllOnes = ~uint64_t{0};
constexpr uint32_t kPending0 = InterruptFile::kPending, kEnabled0 = InterruptFile::kEnabled;

constexpr uint32_t top_of(uint32_t identity) {
    return identity << 16 | identity;
}

class ImsicTest : public ::testing::Test {
  protected:
    InterruptFile& file(size_t hart) { return imsic.file(hart); }
    void set(size_t hart, uint32_t select, uint64_t value) { file(hart).write(select, value, kAllOnes); }
    void write(uint64_t offset, uint32_t value, unsigned bytes = 4) {
        std::lock_guard guard(imsic.lock());
        imsic.write(offset, bytes, value);
    }
    void on(size_t hart) {
        set(hart, InterruptFile::kDelivery, Imsic::kOn);
        for (uint32_t select = kEnabled0; select < kEnabled0 + 8; select += 2) set(hart, select, kAllOnes);
    }

    RecordedLines lines;
    Imsic imsic{"imsic", {lines.line(0), lines.line(1), lines.line(2)}};
};

TEST_F(ImsicTest, MessageInterruptsItsHartAndNoOther) {
    on(0), on(1), on(2);
    write(0x1000, 40);
    EXPECT_FALSE(lines.level(0));
    EXPECT_TRUE(lines.level(1));
    EXPECT_FALSE(lines.level(2));
    EXPECT_EQ(file(1).top(), top_of(40));
    EXPECT_EQ(file(1).read(kPending0), uint64_t{1} << 40);
    file(1).claim(40);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(file(1).top(), 0u);
}

TEST_F(ImsicTest, PagesTakeWholeWordsInBothByteOrders) {
    on(2);
    write(0x2004, 0x07000000);
    EXPECT_EQ(file(2).top(), top_of(7));
    write(0x2004, 7);
    EXPECT_EQ(file(2).read(kPending0), uint64_t{1} << 7) << "no identity in that byte order";
    write(0x2000, 9, 2);
    write(0x2008, 9);
    EXPECT_EQ(file(2).read(kPending0), uint64_t{1} << 7);
    EXPECT_EQ(imsic.read(0x2000, 4), 0u);
}

TEST_F(ImsicTest, IdentitiesThatDoNotExistAreIgnored) {
    on(0);
    for (uint32_t identity : {0u, 256u, 2047u, 0x10000u, 0xffffffffu}) imsic.receive(0, identity);
    imsic.receive(0x3000, 5);
    imsic.receive(kAllOnes & ~uint64_t{0xfff}, 5);
    EXPECT_EQ(file(0).top(), 0u);
    for (uint32_t identity : {256u, 0xffffffffu}) file(0).claim(identity);
    imsic.receive(0, 255);
    EXPECT_EQ(file(0).top(), top_of(255));
}

TEST_F(ImsicTest, LowestIdentityIsFirstBelowTheThreshold) {
    on(0);
    imsic.receive(0, 200), imsic.receive(0, 70), imsic.receive(0, 71);
    EXPECT_EQ(file(0).top(), top_of(70));
    set(0, InterruptFile::kThreshold, 70);
    EXPECT_EQ(file(0).top(), 0u);
    EXPECT_FALSE(lines.level(0));
    set(0, InterruptFile::kThreshold, 71);
    EXPECT_EQ(file(0).top(), top_of(70));
    EXPECT_TRUE(lines.level(0));
    set(0, InterruptFile::kThreshold, 256);
    EXPECT_EQ(file(0).read(InterruptFile::kThreshold), 71u) << "no such identity";
    file(0).claim(70);
    EXPECT_EQ(file(0).top(), 0u);
    set(0, InterruptFile::kThreshold, 0);
    EXPECT_EQ(file(0).top(), top_of(71));
}

TEST_F(ImsicTest, DisabledIdentityWaits) {
    on(0);
    file(0).write(kEnabled0 + 2, 0, uint64_t{1} << 6);  // 70
    imsic.receive(0, 70);
    EXPECT_FALSE(lines.level(0));
    file(0).write(kEnabled0 + 2, kAllOnes, uint64_t{1} << 6);
    EXPECT_TRUE(lines.level(0));
}

TEST_F(ImsicTest, ArraysHaveTheirIdentitiesOnly) {
    set(0, kPending0, kAllOnes);
    EXPECT_EQ(file(0).read(kPending0), kAllOnes - 1);
    set(0, kEnabled0, kAllOnes);
    EXPECT_EQ(file(0).read(kEnabled0), kAllOnes - 1);
    set(0, kPending0 + 6, kAllOnes);
    EXPECT_EQ(file(0).read(kPending0 + 6), kAllOnes);
    for (uint32_t select : {kPending0 + 8, kEnabled0 - 2, kEnabled0 + 8, InterruptFile::kEnd - 2}) {
        set(0, select, kAllOnes);
        EXPECT_EQ(file(0).read(select), 0u) << select;
    }
    for (uint32_t select = 0x71; select < kPending0; select++) {
        if (select == InterruptFile::kThreshold) continue;
        set(0, select, 1);
        EXPECT_EQ(file(0).read(select), 0u) << select;
    }
}

TEST_F(ImsicTest, DeliveryTakesItsThreeValuesOnly) {
    EXPECT_EQ(file(0).read(InterruptFile::kDelivery), Imsic::kDirect);
    for (uint64_t value : {uint64_t{2}, uint64_t{0x40000001}, uint64_t{1} << 32}) {
        set(0, InterruptFile::kDelivery, value);
        EXPECT_EQ(file(0).read(InterruptFile::kDelivery), Imsic::kDirect);
    }
    set(0, InterruptFile::kDelivery, Imsic::kOn);
    EXPECT_EQ(file(0).read(InterruptFile::kDelivery), Imsic::kOn);
}

TEST_F(ImsicTest, DeliveryChoosesBetweenTheFileTheAplicAndNobody) {
    on(0);
    imsic.receive(0, 5);
    InterruptLine direct = imsic.direct_input(0);
    EXPECT_TRUE(lines.level(0));
    set(0, InterruptFile::kDelivery, Imsic::kOff);
    EXPECT_FALSE(lines.level(0));
    EXPECT_EQ(file(0).top(), top_of(5)) << "delivery does not concern the file";
    direct.set(true);
    EXPECT_FALSE(lines.level(0));
    set(0, InterruptFile::kDelivery, Imsic::kDirect);
    EXPECT_TRUE(lines.level(0));
    direct.set(false);
    EXPECT_FALSE(lines.level(0));
    set(0, InterruptFile::kDelivery, Imsic::kOn);
    EXPECT_TRUE(lines.level(0));
}

TEST_F(ImsicTest, SizesAreWholeWords) {
    EXPECT_EQ(imsic.size(), 0x3000u);
    EXPECT_EQ(imsic.identities(), 255u);
    EXPECT_EQ((Imsic{"least", {}, 0}.identities()), 63u);
    EXPECT_EQ((Imsic{"some", {}, 64}.identities()), 127u);
    EXPECT_EQ((Imsic{"most", {}, 9999}.identities()), 2047u);
    RecordedLines line;
    Imsic large("large", {line.line(0)}, 2047);
    large.file(0).write(InterruptFile::kEnd - 2, kAllOnes, kAllOnes);
    large.file(0).write(InterruptFile::kDelivery, 1, kAllOnes);
    large.receive(0, 2047);
    EXPECT_EQ(large.file(0).top(), top_of(2047));
}

TEST_F(ImsicTest, ResetForgetsEverything) {
    on(0);
    imsic.receive(0, 5);
    {
        std::lock_guard guard(imsic.lock());
        imsic.reset();
    }
    EXPECT_FALSE(lines.level(0));
    EXPECT_EQ(file(0).top(), 0u);
    EXPECT_EQ(file(0).read(kPending0), 0u);
    EXPECT_EQ(file(0).read(kEnabled0), 0u);
}

TEST_F(ImsicTest, StateSurvivesSaveAndRestore) {
    on(1);
    set(1, InterruptFile::kThreshold, 100);
    imsic.receive(0x1000, 70), imsic.receive(0, 3);
    RecordedLines others;
    Imsic other("other", {others.line(0), others.line(1), others.line(2)});
    ASSERT_TRUE(restore(other, saved(imsic)).has_value());
    EXPECT_TRUE(others.level(1));
    EXPECT_EQ(other.file(1).top(), top_of(70));
    EXPECT_EQ(other.file(1).read(InterruptFile::kThreshold), 100u);
    EXPECT_EQ(other.file(0).read(kPending0), 8u);
    EXPECT_EQ(saved(other), saved(imsic));
}

TEST_F(ImsicTest, ImpossibleStateIsRefusedAndChangesNothing) {
    on(0);
    auto refuse = [&](Imsic& other) {
        auto before = saved(imsic);
        auto result = restore(imsic, saved(other));
        ASSERT_FALSE(result.has_value());
        EXPECT_NE(result.error().message().find("imsic"), std::string::npos);
        EXPECT_EQ(saved(imsic), before);
    };
    std::vector<InterruptLine> four(4), three(3);
    Imsic more_harts("more", four), more_identities("more", three, 511);
    refuse(more_harts);
    refuse(more_identities);
}

// Harts claim while others send: every message that was sent is seen.
TEST_F(ImsicTest, NothingIsLostBetweenThreads) {
    constexpr uint32_t kRounds = 20000;
    on(0);
    uint32_t seen = 0;
    std::thread sender([&] {
        for (uint32_t i = 0; i < kRounds; i++) {
            imsic.receive(0, 1 + i % 255);
            while (file(0).read(kPending0 + 2 * ((1 + i % 255) / 64)) & uint64_t{1} << ((1 + i % 255) % 64)) {
                std::this_thread::yield();
            }
        }
    });
    while (seen < kRounds) {
        uint32_t top = file(0).top();
        if (top == 0) {
            std::this_thread::yield();
            continue;
        }
        file(0).claim(top >> 16);
        seen++;
    }
    sender.join();
    EXPECT_EQ(file(0).top(), 0u);
    EXPECT_FALSE(lines.level(0));
}

}  // namespace
}  // namespace doppel::device
