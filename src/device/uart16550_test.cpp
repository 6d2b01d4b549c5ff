#include "device/uart16550.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

constexpr uint64_t kData = 0, kIer = 1, kIir = 2, kFcr = 2, kLcr = 3, kMcr = 4, kLsr = 5, kMsr = 6, kScr = 7;

class Outside final : public CharacterBackend {
  public:
    void write(std::span<const uint8_t> bytes) override { output.append(bytes.begin(), bytes.end()); }
    void room_again() override { told++; }

    std::string output;
    int told = 0;
};

class UartTest : public testing::Test {
  protected:
    UartTest() { uart.attach(outside); }

    uint64_t in(uint64_t offset) { return uart.read(offset, 1); }
    void out(uint64_t offset, uint64_t value) { uart.write(offset, 1, value); }
    size_t type(std::string_view text) {
        return uart.receive({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    std::string read_all() {
        std::string text;
        while ((in(kLsr)&1) != 0) text += static_cast<char>(in(kData));
        return text;
    }

    Outside outside;
    RecordedLines lines;
    Uart16550 uart{lines.line(10)};
};

TEST_F(UartTest, SendsWhatIsWrittenAndIsReadyForMoreAtOnce) {
    for (char c : std::string("hello")) {
        EXPECT_EQ(in(kLsr)&0x60, 0x60u);
        out(kData, static_cast<uint8_t>(c));
    }
    EXPECT_EQ(outside.output, "hello");
}

TEST_F(UartTest, SendsIntoTheVoidWithoutABackend) {
    Uart16550 alone{lines.line(11)};
    alone.write(kData, 1, 'x');
    EXPECT_EQ(alone.read(kLsr, 1), 0x60u);
}

TEST_F(UartTest, ShowsItsResetState) {
    EXPECT_EQ(in(kIer), 0u);
    EXPECT_EQ(in(kIir), 1u);
    EXPECT_EQ(in(kLcr), 0u);
    EXPECT_EQ(in(kMcr), 0u);
    EXPECT_EQ(in(kLsr), 0x60u);
    EXPECT_EQ(in(kMsr), 0xb0u);
}

TEST_F(UartTest, KeepsTheDivisorBehindItsLatch) {
    out(kLcr, 0x83);
    out(0, 0x34);
    out(1, 0x12);
    EXPECT_EQ(in(0), 0x34u);
    EXPECT_EQ(in(1), 0x12u);
    out(kLcr, 0x03);
    EXPECT_EQ(in(kIer), 0u);
    EXPECT_EQ(in(kLcr), 3u);
    EXPECT_TRUE(outside.output.empty());
}

TEST_F(UartTest, HoldsTheBitsThatExist) {
    out(kIer, 0xff);
    EXPECT_EQ(in(kIer), 0x0fu);
    out(kMcr, 0xff);
    EXPECT_EQ(in(kMcr), 0x1fu);
    out(kScr, 0xa5);
    EXPECT_EQ(in(kScr), 0xa5u);
}

// The probe of Linux' 8250 driver, autoconfig(): loopback with OUT2 and RTS, then the kind of FIFO.
TEST_F(UartTest, LooksLikeA16550AToLinux) {
    out(kMcr, 0x10 | 0x0a);
    EXPECT_EQ(in(kMsr)&0xf0, 0x90u);
    out(kMcr, 0);
    out(kFcr, 0x01);
    EXPECT_EQ(in(kIir) >> 6, 3u);
    out(kFcr, 0);
    EXPECT_EQ(in(kIir) >> 6, 0u);
}

TEST_F(UartTest, RaisesTheLineWhenDataArrivesAndLowersItWhenItIsRead) {
    out(kIer, 0x01);
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(type("a"), 1u);
    EXPECT_TRUE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x04u);
    EXPECT_EQ(in(kLsr)&1, 1u);
    EXPECT_EQ(in(kData), static_cast<uint64_t>('a'));
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x01u);
    EXPECT_EQ(in(kLsr)&1, 0u);
}

TEST_F(UartTest, TellsATriggerLevelFromACharacterTimeout) {
    const std::vector<std::pair<uint8_t, size_t>> levels{{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
    out(kIer, 0x01);
    for (auto [control, level] : levels) {
        out(kFcr, control | 0x02u);
        EXPECT_EQ(type(std::string(level, 'x')), level);
        EXPECT_EQ(in(kIir), 0xc4u);
        in(kData);
        EXPECT_EQ(in(kIir), level > 1 ? 0xccu : 0xc1u);
        EXPECT_EQ(lines.level(10), level > 1);
    }
}

TEST_F(UartTest, TakesSixteenCharactersWithFifoAndOneWithout) {
    EXPECT_EQ(type("abc"), 1u);
    EXPECT_EQ(read_all(), "a");
    out(kFcr, 0x01);
    EXPECT_EQ(type("0123456789abcdefg"), 16u);
    EXPECT_FALSE(uart.can_receive());
    EXPECT_EQ(read_all(), "0123456789abcdef");
    EXPECT_TRUE(uart.can_receive());
}

TEST_F(UartTest, AsksForMoreOnceTheFifoIsEmptyAgain) {
    out(kFcr, 0x01);
    type(std::string(16, 'x'));
    EXPECT_EQ(type("y"), 0u);
    for (int i = 0; i < 15; i++) in(kData);
    EXPECT_EQ(outside.told, 0);
    in(kData);
    EXPECT_EQ(outside.told, 1);
    type("y");
    in(kData);
    EXPECT_EQ(outside.told, 1) << "nothing was refused since";
}

TEST_F(UartTest, CountsAQuestionAnsweredNoAsARefusal) {
    type("a");
    EXPECT_FALSE(uart.can_receive());
    in(kData);
    EXPECT_EQ(outside.told, 1);
}

TEST_F(UartTest, AsksForMoreWhenTheGuestClearsTheFifo) {
    out(kFcr, 0x01);
    type(std::string(17, 'x'));
    out(kFcr, 0x03);
    EXPECT_EQ(outside.told, 1);
    EXPECT_EQ(in(kLsr), 0x60u);
}

TEST_F(UartTest, NeverLosesInputToASlowGuest) {
    out(kFcr, 0x01);
    std::string sent;
    for (int i = 0; i < 1000; i++) sent += static_cast<char>('a' + i % 26);
    std::string got;
    for (std::string_view rest = sent; !rest.empty();) {
        rest.remove_prefix(type(rest));
        got += read_all();
    }
    EXPECT_EQ(got, sent);
}

TEST_F(UartTest, RaisesTheTransmitterInterruptWhenEnabledAndClearsItByReadingIir) {
    out(kIer, 0x02);
    EXPECT_TRUE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x02u);
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x01u);
    out(kIer, 0x02);
    EXPECT_EQ(in(kIir), 0x01u) << "enabling it again is no edge";
    out(kIer, 0);
    out(kIer, 0x02);
    EXPECT_EQ(in(kIir), 0x02u);
    out(kData, 'x');
    EXPECT_TRUE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x02u);
}

TEST_F(UartTest, KeepsTheTransmitterInterruptBehindReceivedData) {
    out(kIer, 0x03);
    type("a");
    EXPECT_EQ(in(kIir), 0x04u);
    EXPECT_EQ(in(kIir), 0x04u);
    in(kData);
    EXPECT_EQ(in(kIir), 0x02u);
    EXPECT_EQ(in(kIir), 0x01u);
}

TEST_F(UartTest, LoopsCharactersBackAndKeepsTheOutsideOut) {
    out(kFcr, 0x01);
    out(kMcr, 0x10);
    out(kData, 'l');
    EXPECT_EQ(type("x"), 0u);
    EXPECT_FALSE(uart.can_receive());
    EXPECT_EQ(read_all(), "l");
    EXPECT_TRUE(outside.output.empty());
    EXPECT_EQ(outside.told, 0);
    out(kMcr, 0);
    EXPECT_EQ(outside.told, 1);
    EXPECT_EQ(type("x"), 1u);
}

TEST_F(UartTest, LosesTheNewCharacterInAnOverrunWithFifo) {
    out(kIer, 0x04);
    out(kFcr, 0x01);
    out(kMcr, 0x10);
    for (int i = 0; i < 17; i++) out(kData, 'a' + i);
    EXPECT_EQ(in(kIir), 0xc6u);
    EXPECT_TRUE(lines.level(10));
    EXPECT_EQ(in(kLsr), 0x63u);
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(read_all(), "abcdefghijklmnop");
}

TEST_F(UartTest, LosesTheOldCharacterInAnOverrunWithoutFifo) {
    out(kMcr, 0x10);
    out(kData, 'a');
    out(kData, 'b');
    EXPECT_EQ(in(kLsr), 0x63u);
    EXPECT_EQ(read_all(), "b");
}

TEST_F(UartTest, ReportsABreakWhenItComesToTheFrontOfTheFifo) {
    out(kIer, 0x04);
    out(kFcr, 0x01);
    type("a");
    EXPECT_TRUE(uart.receive_break());
    type("b");
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(in(kLsr), 0xe1u) << "an error somewhere in the FIFO";
    in(kData);
    EXPECT_EQ(in(kIir), 0xc6u);
    EXPECT_EQ(in(kLsr), 0xf1u);
    EXPECT_EQ(in(kLsr), 0x61u);
    EXPECT_EQ(in(kData), 0u);
    EXPECT_EQ(in(kData), static_cast<uint64_t>('b'));
}

TEST_F(UartTest, RefusesABreakWithoutRoom) {
    type("a");
    EXPECT_FALSE(uart.receive_break());
    in(kData);
    EXPECT_EQ(outside.told, 1);
    EXPECT_TRUE(uart.receive_break());
}

TEST_F(UartTest, SendsNoCharactersDuringABreakAndLoopsTheBreakBack) {
    out(kLcr, 0x43);
    out(kData, 'x');
    EXPECT_TRUE(outside.output.empty());
    out(kLcr, 0x03);
    out(kMcr, 0x10);
    out(kLcr, 0x43);
    EXPECT_EQ(in(kLsr), 0x71u);
    EXPECT_EQ(in(kData), 0u);
    EXPECT_EQ(in(kLsr), 0x60u);
}

TEST_F(UartTest, ReportsChangesOfTheModemInputsUntilTheyAreRead) {
    out(kIer, 0x08);
    out(kMcr, 0x10);
    EXPECT_TRUE(lines.level(10));
    EXPECT_EQ(in(kIir), 0x00u);
    EXPECT_EQ(in(kMsr), 0x0bu);
    EXPECT_FALSE(lines.level(10));
    out(kMcr, 0x14);
    EXPECT_EQ(in(kMsr), 0x40u) << "ringing is reported when it ends";
    out(kMcr, 0x10);
    EXPECT_EQ(in(kMsr), 0x04u);
}

TEST_F(UartTest, EmptiesTheReceiverWhenTheFifoIsTurnedOnOrOff) {
    type("a");
    out(kFcr, 0x01);
    EXPECT_EQ(in(kLsr)&1, 0u);
    type("abc");
    out(kFcr, 0x00);
    EXPECT_EQ(in(kLsr)&1, 0u);
}

TEST_F(UartTest, TakesWiderAccessesAsOneToTheRegisterAtTheirOffset) {
    uart.write(kScr, 4, 0xaabbccdd);
    EXPECT_EQ(uart.read(kScr, 4), 0xddu);
    uart.write(kData, 4, 'w');
    EXPECT_EQ(outside.output, "w");
    EXPECT_EQ(uart.read(4, 2), 0u);
}

TEST_F(UartTest, HasNothingBeyondItsEightRegisters) {
    out(8, 0xff);
    out(kLsr, 0xff);
    out(kMsr, 0xff);
    EXPECT_EQ(in(8), 0u);
    EXPECT_EQ(in(0xff), 0u);
    EXPECT_EQ(in(kLsr), 0x60u);
    EXPECT_EQ(in(kMsr), 0xb0u);
}

TEST_F(UartTest, ResetsAndTakesInputAgain) {
    out(kIer, 0x01);
    type("ab");
    EXPECT_TRUE(lines.level(10));
    uart.reset();
    EXPECT_FALSE(lines.level(10));
    EXPECT_EQ(outside.told, 1);
    EXPECT_EQ(in(kIer), 0u);
    EXPECT_EQ(in(kLsr), 0x60u);
}

TEST_F(UartTest, RestoresInputInterruptsAndLine) {
    out(kLcr, 0x83);
    out(0, 1);
    out(kLcr, 0x03);
    out(kFcr, 0x81);
    out(kIer, 0x05);
    type("abc");
    uart.receive_break();
    auto document = saved(uart);

    RecordedLines other_lines;
    Outside other_outside;
    Uart16550 other{other_lines.line(1)};
    other.attach(other_outside);
    ASSERT_TRUE(restore(other, document));
    EXPECT_TRUE(other_lines.level(1));
    EXPECT_EQ(other_outside.told, 1);
    EXPECT_EQ(saved(other), document);
    EXPECT_EQ(other.read(kIir, 1), 0xccu);
    EXPECT_EQ(other.read(kData, 1), static_cast<uint64_t>('a'));
    ASSERT_TRUE(restore(other, saved(Uart16550{InterruptLine{}})));
    EXPECT_FALSE(other_lines.level(1));
}

TEST_F(UartTest, AsksForInputAfterARestoreOnceItHasRoom) {
    type("a");
    auto full = saved(uart);
    Outside other_outside;
    Uart16550 other{InterruptLine{}};
    other.attach(other_outside);
    ASSERT_TRUE(restore(other, full));
    EXPECT_EQ(other_outside.told, 0);
    other.read(kData, 1);
    EXPECT_EQ(other_outside.told, 1);
}

TEST_F(UartTest, StaysAsItIsWhenARestoreFails) {
    out(kFcr, 0x01);
    type("abc");
    auto before = saved(uart);
    const std::vector<std::pair<uint16_t, uint64_t>> impossible{{2, 0x10}, {3, 0x02},  {5, 0x20}, {6, 0x01},
                                                                {7, 0x10}, {1, 65536}, {10, 2},   {9, 2}};
    for (auto [tag, value] : impossible) {
        StateWriter writer;
        writer.field(tag, value);
        EXPECT_FALSE(restore(uart, writer.finish())) << "field " << tag;
    }
    StateWriter writer;
    writer.field(3, uint64_t{1});
    writer.field(10, uint64_t{17});
    EXPECT_FALSE(restore(uart, writer.finish()));
    StateWriter errors;
    errors.field(12, std::vector<uint8_t>(16, 0x02));
    EXPECT_FALSE(restore(uart, errors.finish()));
    EXPECT_EQ(saved(uart), before);
}

}  // namespace
}  // namespace doppel::device
