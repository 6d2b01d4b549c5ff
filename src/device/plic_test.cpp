#include "device/plic.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

class PlicTest : public testing::Test {
  protected:
    static std::unique_ptr<Plic> make(RecordedLines& lines, uint32_t contexts, uint32_t sources) {
        std::vector<InterruptLine> targets;
        for (uint32_t context = 0; context < contexts; context++) targets.push_back(lines.line(context));
        return std::make_unique<Plic>(std::move(targets), sources);
    }
    static uint64_t enable_register(uint32_t context, uint32_t source) {
        return 0x2000 + 0x80 * context + source / 32 * 4;
    }
    void enable(uint32_t context, uint32_t source) {
        uint64_t at = enable_register(context, source);
        plic->write(at, 4, plic->read(at, 4) | 1u << (source % 32));
    }
    void set_priority(uint32_t source, uint32_t priority) { plic->write(4 * source, 4, priority); }
    void set_threshold(uint32_t context, uint32_t threshold) { plic->write(0x200000 + 0x1000 * context, 4, threshold); }
    uint64_t claim(uint32_t context) { return plic->read(0x200004 + 0x1000 * context, 4); }
    void complete(uint32_t context, uint32_t source) { plic->write(0x200004 + 0x1000 * context, 4, source); }
    bool pending(uint32_t source) { return (plic->read(0x1000 + source / 32 * 4, 4) >> (source % 32) & 1) != 0; }

    RecordedLines lines;
    std::unique_ptr<Plic> plic = make(lines, 4, Plic::kDefaultSources);
};

TEST_F(PlicTest, TakesAnInterruptFromInputToCompletion) {
    set_priority(10, 1);
    enable(1, 10);
    plic->set_level(10, true);
    EXPECT_TRUE(lines.level(1));
    EXPECT_FALSE(lines.level(0));
    EXPECT_TRUE(pending(10));
    EXPECT_EQ(claim(1), 10u);
    EXPECT_FALSE(lines.level(1));
    EXPECT_FALSE(pending(10));
    plic->set_level(10, false);
    complete(1, 10);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(claim(1), 0u);
}

TEST_F(PlicTest, PendsAgainAfterCompletionWhileTheInputStaysHigh) {
    set_priority(10, 1);
    enable(1, 10);
    plic->set_level(10, true);
    EXPECT_EQ(claim(1), 10u);
    EXPECT_EQ(claim(1), 0u);
    complete(1, 10);
    EXPECT_TRUE(lines.level(1));
    EXPECT_EQ(claim(1), 10u);
}

TEST_F(PlicTest, HoldsBackAPulseUntilTheClaimedInterruptIsComplete) {
    set_priority(10, 1);
    enable(1, 10);
    plic->set_level(10, true);
    EXPECT_EQ(claim(1), 10u);
    plic->set_level(10, false);
    plic->set_level(10, true);
    EXPECT_FALSE(pending(10));
    complete(1, 10);
    EXPECT_TRUE(pending(10));
}

TEST_F(PlicTest, KeepsARequestWhoseInputFalls) {
    set_priority(10, 1);
    enable(1, 10);
    plic->set_level(10, true);
    plic->set_level(10, false);
    EXPECT_TRUE(lines.level(1));
    EXPECT_EQ(claim(1), 10u);
}

TEST_F(PlicTest, PrefersTheGreaterPriorityThenTheLowerNumber) {
    for (uint32_t source : {5u, 40u, 41u, 95u}) {
        enable(0, source);
        plic->set_level(source, true);
    }
    set_priority(5, 1);
    set_priority(40, 3);
    set_priority(41, 3);
    set_priority(95, 7);
    EXPECT_EQ(claim(0), 95u);
    EXPECT_EQ(claim(0), 40u);
    EXPECT_EQ(claim(0), 41u);
    EXPECT_EQ(claim(0), 5u);
    EXPECT_EQ(claim(0), 0u);
}

TEST_F(PlicTest, NeverInterruptsWithPriorityZero) {
    enable(0, 3);
    plic->set_level(3, true);
    EXPECT_TRUE(pending(3));
    EXPECT_FALSE(lines.level(0));
    EXPECT_EQ(claim(0), 0u);
    set_priority(3, 1);
    EXPECT_TRUE(lines.level(0));
}

TEST_F(PlicTest, SignalsOnlyAboveTheThresholdButClaimsBelowIt) {
    enable(0, 3);
    set_priority(3, 4);
    set_threshold(0, 4);
    plic->set_level(3, true);
    EXPECT_FALSE(lines.level(0));
    set_threshold(0, 3);
    EXPECT_TRUE(lines.level(0));
    set_threshold(0, 7);
    EXPECT_FALSE(lines.level(0));
    EXPECT_EQ(claim(0), 3u);
}

TEST_F(PlicTest, SignalsEveryEnabledContextAndGivesTheClaimToOne) {
    set_priority(8, 2);
    enable(1, 8);
    enable(3, 8);
    plic->set_level(8, true);
    EXPECT_TRUE(lines.level(1));
    EXPECT_TRUE(lines.level(3));
    EXPECT_FALSE(lines.level(2));
    EXPECT_EQ(claim(3), 8u);
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(claim(1), 0u);
    complete(1, 8);
    EXPECT_TRUE(lines.level(3));
}

TEST_F(PlicTest, IgnoresACompletionByAContextThatDoesNotEnableTheSource) {
    set_priority(8, 2);
    enable(1, 8);
    plic->set_level(8, true);
    EXPECT_EQ(claim(1), 8u);
    complete(0, 8);
    EXPECT_FALSE(pending(8));
    complete(1, 0);
    complete(1, 96);
    complete(1, 0xffffffff);
    EXPECT_FALSE(pending(8));
    complete(1, 8);
    EXPECT_TRUE(pending(8));
}

TEST_F(PlicTest, LowersTheLineWhenTheSourceIsDisabled) {
    set_priority(8, 2);
    enable(1, 8);
    plic->set_level(8, true);
    plic->write(enable_register(1, 8), 4, 0);
    EXPECT_FALSE(lines.level(1));
    EXPECT_TRUE(pending(8));
}

TEST_F(PlicTest, HasRegistersForItsSourcesAndContextsOnly) {
    plic->write(0, 4, 7);
    EXPECT_EQ(plic->read(0, 4), 0u);
    plic->write(4 * 95, 4, 0xffffffff);
    EXPECT_EQ(plic->read(4 * 95, 4), 7u);
    plic->write(4 * 96, 4, 7);
    EXPECT_EQ(plic->read(4 * 96, 4), 0u);
    for (uint64_t word = 0; word < 4; word++) plic->write(0x2000 + 4 * word, 4, 0xffffffff);
    EXPECT_EQ(plic->read(0x2000, 4), 0xfffffffeu);
    EXPECT_EQ(plic->read(0x2008, 4), 0xffffffffu);
    EXPECT_EQ(plic->read(0x200c, 4), 0u);
    plic->write(0x2000 + 0x80 * 4, 4, 0xffffffff);
    EXPECT_EQ(plic->read(0x2000 + 0x80 * 4, 4), 0u);
    set_threshold(3, 0xffffffff);
    EXPECT_EQ(plic->read(0x203000, 4), 7u);
    set_threshold(4, 7);
    EXPECT_EQ(plic->read(0x204000, 4), 0u);
    plic->write(0x1000, 4, 0xffffffff);
    EXPECT_EQ(plic->read(0x1000, 4), 0u);
    EXPECT_EQ(plic->read(Plic::kSize - 4, 4), 0u);
}

TEST_F(PlicTest, IgnoresInputsThatDoNotExist) {
    for (uint32_t source : {0u, 96u, 1024u, 0xffffffffu}) plic->set_level(source, true);
    for (uint64_t word = 0; word < 32; word++) EXPECT_EQ(plic->read(0x1000 + 4 * word, 4), 0u);
}

TEST_F(PlicTest, IgnoresOtherWidthsThanWords) {
    set_priority(8, 2);
    enable(1, 8);
    plic->set_level(8, true);
    EXPECT_EQ(plic->read(0x201004, 1), 0u);
    EXPECT_EQ(plic->read(0x201000, 8), 0u);
    plic->write(4 * 9, 8, 7);
    EXPECT_EQ(plic->read(4 * 9, 4), 0u);
    EXPECT_TRUE(pending(8));
}

TEST_F(PlicTest, ServesTheGreatestNumberOfSources) {
    plic = make(lines, 1, 5000);
    EXPECT_EQ(plic->sources(), Plic::kMaxSources);
    set_priority(1023, 1);
    enable(0, 1023);
    plic->set_level(1023, true);
    EXPECT_EQ(claim(0), 1023u);
}

TEST_F(PlicTest, TellsALineOnlyOfChanges) {
    set_priority(8, 2);
    set_priority(9, 2);
    enable(1, 8);
    enable(1, 9);
    int told = lines.told();
    plic->set_level(8, true);
    plic->set_level(8, true);
    plic->set_level(9, true);
    EXPECT_EQ(lines.told(), told + 1);
}

TEST_F(PlicTest, ResetsAllButItsInputs) {
    set_priority(8, 2);
    enable(1, 8);
    plic->set_level(8, true);
    EXPECT_EQ(claim(1), 8u);
    plic->reset();
    EXPECT_FALSE(lines.level(1));
    EXPECT_EQ(plic->read(4 * 8, 4), 0u);
    EXPECT_TRUE(pending(8));
    plic->set_level(8, false);
    plic->reset();
    EXPECT_FALSE(pending(8));
}

TEST_F(PlicTest, RestoresItsStateAndDrivesItsLines) {
    set_priority(8, 2);
    set_priority(9, 3);
    enable(1, 8);
    enable(1, 9);
    enable(2, 9);
    set_threshold(2, 5);
    plic->set_level(8, true);
    plic->set_level(9, true);
    EXPECT_EQ(claim(1), 9u);
    auto document = saved(*plic);

    RecordedLines other_lines;
    plic = make(other_lines, 4, Plic::kDefaultSources);
    set_priority(1, 7);
    enable(0, 1);
    plic->set_level(1, true);
    EXPECT_TRUE(other_lines.level(0));
    ASSERT_TRUE(restore(*plic, document));
    EXPECT_FALSE(other_lines.level(0));
    EXPECT_TRUE(other_lines.level(1));
    EXPECT_EQ(saved(*plic), document);
    EXPECT_EQ(claim(1), 8u);
    complete(1, 9);
    EXPECT_EQ(claim(1), 9u);
}

TEST_F(PlicTest, StaysAsItIsWhenARestoreFails) {
    set_priority(8, 2);
    auto before = saved(*plic);
    RecordedLines other_lines;
    EXPECT_FALSE(restore(*plic, saved(*make(other_lines, 2, 95))));
    EXPECT_FALSE(restore(*plic, saved(*make(other_lines, 4, 31))));
    auto refused = [&](auto tag, auto value) {
        StateWriter writer;
        writer.field(tag, value);
        return !restore(*plic, writer.finish()).has_value();
    };
    std::vector<uint8_t> priorities(96, 0);
    priorities[5] = 8;
    EXPECT_TRUE(refused(1, priorities));
    priorities[5] = 0;
    priorities[0] = 1;
    EXPECT_TRUE(refused(1, priorities));
    EXPECT_TRUE(refused(2, std::vector<uint32_t>{1, 0, 0}));
    EXPECT_TRUE(refused(3, std::vector<uint32_t>{0, 0}));
    EXPECT_TRUE(refused(4, std::vector<uint32_t>{}));
    EXPECT_TRUE(refused(5, std::vector<uint32_t>(12, 1)));
    EXPECT_TRUE(refused(6, std::vector<uint8_t>{0, 0, 0, 8}));
    EXPECT_EQ(saved(*plic), before);
}

}  // namespace
}  // namespace doppel::device
