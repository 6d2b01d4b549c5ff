#include "device/pci/host.h"

#include <gtest/gtest.h>

#include <memory>

#include "device/pci/testing.h"

namespace doppel::device::pci {
namespace {

constexpr unsigned kBar0 = PCI_BASE_ADDRESS_0;
constexpr unsigned kBar2 = PCI_BASE_ADDRESS_2;
constexpr uint64_t kLow = kTestLayout.window32_base;
constexpr uint64_t kHigh = kTestLayout.window64_base;

void enable_memory(TestHost& host, unsigned slot) {
    host.set_config(slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

TEST(PciHost, AnswersConfigurationReadsOfEveryWidth) {
    TestHost host;
    ASSERT_TRUE(host.mapped);
    add_test_function(host, 3);
    EXPECT_EQ(host.config(3, 0, 8), 0x0000000056781234u);
    EXPECT_EQ(host.config(3, 0, 4), 0x56781234u);
    EXPECT_EQ(host.config(3, 2, 2), 0x5678u);
    EXPECT_EQ(host.config(3, 1, 1), 0x12u);
    EXPECT_EQ(host.config(3, PCI_CLASS_REVISION, 4), 0x08800007u);
    EXPECT_EQ(host.config(3, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x87654321u);
    EXPECT_EQ(host.config(0, PCI_CLASS_DEVICE, 2), 0x0600u);
}

TEST(PciHost, ReadsAllOnesWhereNoFunctionIs) {
    TestHost host;
    add_test_function(host, 3);
    constexpr uint64_t kFunction = 1 << 12, kBus = 1 << 20;
    EXPECT_EQ(host.config(4, 0, 4), 0xffffffffu);
    EXPECT_EQ(host.config(4, 0, 1), 0xffu);
    EXPECT_EQ(host.config(4, 0, 8), ~uint64_t{0});
    EXPECT_EQ(host.read(TestHost::config_address(3, 0) + kFunction, 4), 0xffffffffu);
    EXPECT_EQ(host.read(TestHost::config_address(3, 0) + kBus, 4), 0xffffffffu);
    EXPECT_TRUE(host.write(TestHost::config_address(4, 4), 4, 0xffff));
    EXPECT_FALSE(host.bus.read(kTestEcam + host.host.ecam_size(), 4).has_value());
}

TEST(PciHost, RefusesSlotsThatAreTakenOrAbsent) {
    TestHost host;
    add_test_function(host, 3);
    EXPECT_FALSE(host.host.add(3, std::make_unique<TestFunction>()).has_value());
    EXPECT_FALSE(host.host.add(0, std::make_unique<TestFunction>()).has_value());
    EXPECT_FALSE(host.host.add(32, std::make_unique<TestFunction>()).has_value());
}

TEST(PciHost, AFunctionThatWasRemovedAnswersNoMoreAndItsSlotIsFree) {
    TestHost host;
    ASSERT_TRUE(host.mapped);
    add_test_function(host, 3);
    host.set_config(3, kBar0, 4, static_cast<uint32_t>(kLow));
    enable_memory(host, 3);
    EXPECT_NE(host.host.remove(3), nullptr);
    EXPECT_EQ(host.config(3, 0, 4), 0xffffffffu);
    EXPECT_EQ(host.read(kLow, 4), 0xffffffffu);
    EXPECT_EQ(host.host.remove(3), nullptr);
    EXPECT_EQ(host.host.remove(0), nullptr) << "the bridge stays";
    EXPECT_EQ(host.host.remove(32), nullptr);
    add_test_function(host, 3);
    EXPECT_EQ(host.config(3, 0, 2), 0x1234u);
}

TEST(PciHost, IgnoresWritesToReadOnlyBits) {
    TestHost host;
    add_test_function(host, 3);
    for (unsigned offset = 0; offset < ConfigSpace::kSize; offset += 8) host.set_config(3, offset, 8, ~uint64_t{0});
    EXPECT_EQ(host.config(3, PCI_VENDOR_ID, 4), 0x56781234u);
    EXPECT_EQ(host.config(3, PCI_CLASS_REVISION, 4), 0x08800007u);
    EXPECT_EQ(host.config(3, PCI_COMMAND, 2), 0x546u);
    EXPECT_EQ(host.config(3, PCI_STATUS, 2), 0u);
    EXPECT_EQ(host.config(3, PCI_HEADER_TYPE, 1), 0u);
    EXPECT_EQ(host.config(3, PCI_INTERRUPT_LINE, 2), 0x01ffu);
    EXPECT_EQ(host.config(3, PCI_BASE_ADDRESS_1, 4), 0u);
    EXPECT_EQ(host.config(3, 0x100, 4), 0u);
}

TEST(PciHost, TellsTheSizeOfItsBars) {
    TestHost host;
    add_test_function(host, 3);
    host.set_config(3, kBar0, 4, 0xffffffff);
    EXPECT_EQ(host.config(3, kBar0, 4), 0xfffff000u);
    host.set_config(3, kBar2, 8, ~uint64_t{0});
    EXPECT_EQ(host.config(3, kBar2, 8), ~(TestFunction::kWideSize - 1) | 0xc);
    host.set_config(3, kBar2, 4, 0);
    EXPECT_EQ(host.config(3, kBar2, 4), 0xcu);
}

TEST(PciHost, RoutesAccessesToTheBarOnlyWhileMemoryDecodingIsOn) {
    TestHost host;
    TestFunction& function = add_test_function(host, 3);
    host.set_config(3, kBar0, 4, kLow + 0x5000);
    host.set_config(3, kBar2, 8, kHigh + TestFunction::kWideSize);
    EXPECT_EQ(host.read(kLow + 0x5000, 4), 0xffffffffu);
    enable_memory(host, 3);

    EXPECT_TRUE(host.write(kLow + 0x5ff8, 8, 0x1122334455667788));
    EXPECT_EQ(function.last_bar, 0u);
    EXPECT_EQ(function.last_offset, 0xff8u);
    EXPECT_EQ(host.read(kLow + 0x5ffc, 2), 0x7788u);
    EXPECT_EQ(host.read(kLow + 0x6000, 4), 0xffffffffu);
    EXPECT_EQ(host.read(kHigh + TestFunction::kWideSize + 0x123456, 2), 0x7788u);
    EXPECT_EQ(function.last_bar, 2u);
    EXPECT_EQ(function.last_offset, 0x123456u);
    EXPECT_EQ(host.read(kHigh, 1), 0xffu);

    host.set_config(3, PCI_COMMAND, 2, 0);
    EXPECT_EQ(host.read(kLow + 0x5000, 4), 0xffffffffu);
}

TEST(PciHost, GivesOverlappingBarsToTheLowestSlot) {
    TestHost host;
    TestFunction& low = add_test_function(host, 3);
    TestFunction& high = add_test_function(host, 9);
    for (unsigned slot : {9u, 3u}) {
        host.set_config(slot, kBar0, 4, kLow);
        host.set_config(slot, kBar2, 8, kHigh);
        enable_memory(host, slot);
    }
    EXPECT_TRUE(host.write(kLow + 0x10, 4, 42));
    EXPECT_EQ(low.register_value, 42u);
    EXPECT_EQ(low.last_bar, 0u);
    EXPECT_EQ(high.register_value, 0u);
    EXPECT_TRUE(host.write(kHigh + 0x2000, 4, 43));
    EXPECT_EQ(low.register_value, 43u);
    EXPECT_EQ(low.last_bar, 2u);
    host.set_config(3, PCI_COMMAND, 2, 0);
    EXPECT_TRUE(host.write(kLow + 0x10, 4, 44));
    EXPECT_EQ(high.register_value, 44u);
}

TEST(PciHost, SurvivesBarsAtTheEndOfTheAddressSpace) {
    TestHost host;
    TestFunction& function = add_test_function(host, 3);
    enable_memory(host, 3);
    host.set_config(3, kBar0, 4, 0xffffffff);
    host.set_config(3, kBar2, 8, ~uint64_t{0});
    EXPECT_EQ(host.read(kLow, 4), 0xffffffffu);
    EXPECT_EQ(host.read(kHigh, 8), ~uint64_t{0});
    EXPECT_EQ(host.read(kTestEcam, 4), host.config(0, 0, 4));
    EXPECT_EQ(function.last_bar, kBars);
}

TEST(PciHost, SwizzlesPinsOverTheLines) {
    for (unsigned slot = 1; slot < kSlots; slot++) {
        for (uint8_t pin = 1; pin <= 4; pin++) {
            TestHost host;
            TestFunction& function = add_test_function(host, slot, pin);
            EXPECT_EQ(host.config(slot, PCI_INTERRUPT_PIN, 1), pin);
            function.request(true);
            for (unsigned line = 0; line < kInterruptLines; line++) {
                EXPECT_EQ(host.lines.level(0x20 + line), line == (slot + pin - 1) % 4);
            }
        }
    }
}

TEST(PciHost, HoldsALineWhileAnyFunctionOnItAsks) {
    TestHost host;
    TestFunction& one = add_test_function(host, 1);
    TestFunction& other = add_test_function(host, 5);
    one.request(true);
    other.request(true);
    EXPECT_TRUE(host.lines.level(0x21));
    one.request(false);
    EXPECT_TRUE(host.lines.level(0x21));
    other.request(false);
    EXPECT_FALSE(host.lines.level(0x21));
}

TEST(PciHost, KeepsTheStatusBitWhileTheInterruptIsDisabled) {
    TestHost host;
    TestFunction& function = add_test_function(host, 1);
    function.request(true);
    host.set_config(1, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    EXPECT_FALSE(host.lines.level(0x21));
    EXPECT_EQ(host.config(1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, unsigned{PCI_STATUS_INTERRUPT});
    host.set_config(1, PCI_COMMAND, 2, 0);
    EXPECT_TRUE(host.lines.level(0x21));
    function.request(false);
    EXPECT_FALSE(host.lines.level(0x21));
    EXPECT_EQ(host.config(1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
}

TEST(PciHost, ResetsEverythingThatTheGuestConfigured) {
    TestHost host;
    TestFunction& function = add_test_function(host, 1);
    host.set_config(1, kBar0, 4, kLow);
    enable_memory(host, 1);
    function.request(true);
    host.reset();
    EXPECT_EQ(function.resets, 1);
    EXPECT_EQ(host.config(1, PCI_COMMAND, 2), 0u);
    EXPECT_EQ(host.config(1, kBar0, 4), 0u);
    EXPECT_EQ(host.read(kLow, 4), 0xffffffffu);
    EXPECT_FALSE(host.lines.level(0x21));
}

TEST(PciHost, RestoresConfigurationRoutesAndLines) {
    TestHost before;
    TestFunction& source = add_test_function(before, 1);
    before.set_config(1, kBar0, 4, kLow + 0x3000);
    enable_memory(before, 1);
    source.request(true);
    source.register_value = 77;

    TestHost after;
    add_test_function(after, 1);
    ASSERT_TRUE(restore(after.host, saved(before.host)).has_value());
    EXPECT_EQ(after.read(kLow + 0x3000, 4), 77u);
    EXPECT_TRUE(after.lines.level(0x21));
    EXPECT_EQ(saved(after.host), saved(before.host));
}

TEST(PciHost, KeepsItsStateWhenALaterFunctionRefuses) {
    TestHost before;
    add_test_function(before, 1).register_value = 77;
    add_test_function(before, 2, 1, 0x1111);

    TestHost after;
    add_test_function(after, 1).register_value = 5;
    add_test_function(after, 2, 1, 0x2222);
    auto state = saved(after.host);
    EXPECT_FALSE(restore(after.host, saved(before.host)).has_value());
    EXPECT_EQ(saved(after.host), state);

    TestHost fewer;
    add_test_function(fewer, 1);
    EXPECT_FALSE(restore(fewer.host, saved(before.host)).has_value());
}

}  // namespace
}  // namespace doppel::device::pci
