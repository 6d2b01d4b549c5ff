#include "device/pci/msix.h"

#include <gtest/gtest.h>

#include "device/pci/testing.h"

namespace doppel::device::pci {
namespace {

using Message = std::pair<uint64_t, uint32_t>;

// One function in slot 1 with its MSI-X BAR mapped.
struct Fixture {
    Fixture() : host(&messages), function(add_test_function(host, 1)) {
        capability = host.find_capability(1, PCI_CAP_ID_MSIX);
        host.set_config(1, PCI_BASE_ADDRESS_5, 4, kTable);
        host.set_config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    }
    void control(uint16_t value) { host.set_config(1, capability + PCI_MSIX_FLAGS, 2, value); }
    void set_vector(unsigned vector, uint64_t address, uint32_t data, bool masked) {
        uint64_t entry = kTable + vector * PCI_MSIX_ENTRY_SIZE;
        (void)host.write(entry, 8, address);
        (void)host.write(entry + 8, 4, data);
        (void)host.write(entry + 12, 4, masked);
    }
    uint64_t pending() { return host.read(kTable + 3 * PCI_MSIX_ENTRY_SIZE, 8); }

    static constexpr uint64_t kTable = kTestLayout.window32_base;
    RecordedMessages messages;
    TestHost host;
    TestFunction& function;
    unsigned capability;
};

TEST(Msix, IsNotOfferedWithoutAReceiver) {
    TestHost host;
    TestFunction& function = add_test_function(host, 1);
    EXPECT_EQ(host.find_capability(1, PCI_CAP_ID_MSIX), 0u);
    host.set_config(1, PCI_BASE_ADDRESS_5, 4, 0xffffffff);
    EXPECT_EQ(host.config(1, PCI_BASE_ADDRESS_5, 4), 0u);
    EXPECT_FALSE(function.raise(0));
}

TEST(Msix, DescribesItsTableInTheCapability) {
    Fixture f;
    ASSERT_NE(f.capability, 0u);
    EXPECT_EQ(f.host.config(1, f.capability + PCI_MSIX_FLAGS, 2), 2u);
    EXPECT_EQ(f.host.config(1, f.capability + PCI_MSIX_TABLE, 4), 5u);
    EXPECT_EQ(f.host.config(1, f.capability + PCI_MSIX_PBA, 4), 0x30u | 5u);
    f.control(0xffff);
    EXPECT_EQ(f.host.config(1, f.capability + PCI_MSIX_FLAGS, 2), 0xc002u);
}

TEST(Msix, SendsTheMessageOfTheVector) {
    Fixture f;
    f.set_vector(1, 0x123456783, 99, false);
    EXPECT_FALSE(f.function.raise(1));
    f.control(PCI_MSIX_FLAGS_ENABLE);
    EXPECT_TRUE(f.function.raise(1));
    f.function.raise(3);
    f.function.raise(0xffff);
    EXPECT_EQ(f.messages.sent, (std::vector<Message>{{0x123456780, 99}}));
}

TEST(Msix, KeepsAMaskedVectorPendingUntilItsMaskGoes) {
    Fixture f;
    f.control(PCI_MSIX_FLAGS_ENABLE);
    f.set_vector(2, 0x1000, 7, true);
    f.function.raise(2);
    f.function.raise(2);
    EXPECT_TRUE(f.messages.sent.empty());
    EXPECT_EQ(f.pending(), 4u);
    (void)f.host.write(Fixture::kTable + 3 * PCI_MSIX_ENTRY_SIZE, 8, ~uint64_t{0});
    EXPECT_EQ(f.pending(), 4u);
    f.set_vector(2, 0x1000, 8, false);
    EXPECT_EQ(f.messages.sent, (std::vector<Message>{{0x1000, 8}}));
    EXPECT_EQ(f.pending(), 0u);
}

TEST(Msix, WaitsForTheFunctionMaskAndForBusMastering) {
    Fixture f;
    f.set_vector(0, 0x1000, 1, false);
    f.control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    f.function.raise(0);
    EXPECT_TRUE(f.messages.sent.empty());
    f.control(PCI_MSIX_FLAGS_ENABLE);
    EXPECT_EQ(f.messages.sent.size(), 1u);
    f.host.set_config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    f.function.raise(0);
    EXPECT_EQ(f.messages.sent.size(), 1u);
    f.host.set_config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    EXPECT_EQ(f.messages.sent.size(), 2u);
}

TEST(Msix, TakesThePinAwayWhileEnabled) {
    Fixture f;
    f.function.request(true);
    EXPECT_TRUE(f.host.lines.level(0x21));
    f.control(PCI_MSIX_FLAGS_ENABLE);
    EXPECT_FALSE(f.host.lines.level(0x21));
    f.control(0);
    EXPECT_TRUE(f.host.lines.level(0x21));
}

TEST(Msix, ForgetsEverythingOnReset) {
    Fixture f;
    f.control(PCI_MSIX_FLAGS_ENABLE);
    f.set_vector(0, 0x1000, 1, true);
    f.function.raise(0);
    f.host.reset();
    f.host.set_config(1, PCI_BASE_ADDRESS_5, 4, Fixture::kTable);
    f.host.set_config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    EXPECT_EQ(f.pending(), 0u);
    EXPECT_EQ(f.host.read(Fixture::kTable, 8), 0u);
    EXPECT_EQ(f.host.read(Fixture::kTable + 12, 4), 1u);
    EXPECT_FALSE(f.function.raise(0));
}

TEST(Msix, RestoresTableAndPendingBits) {
    Fixture before;
    before.control(PCI_MSIX_FLAGS_ENABLE);
    before.set_vector(2, 0x2000, 5, true);
    before.function.raise(2);
    Fixture after;
    ASSERT_TRUE(restore(after.host.host, saved(before.host.host)).has_value());
    EXPECT_EQ(after.pending(), 4u);
    (void)after.host.write(Fixture::kTable + 2 * PCI_MSIX_ENTRY_SIZE + 12, 4, 0);
    EXPECT_EQ(after.messages.sent, (std::vector<Message>{{0x2000, 5}}));
}

TEST(Msix, IgnoresAccessesThatAreNotWholeWords) {
    Fixture f;
    (void)f.host.write(Fixture::kTable, 2, 0xffff);
    (void)f.host.write(Fixture::kTable + 1, 1, 0xff);
    EXPECT_EQ(f.host.read(Fixture::kTable, 4), 0u);
    EXPECT_EQ(f.host.read(Fixture::kTable + 12, 1), 0u);
    EXPECT_EQ(f.host.read(Fixture::kTable + 0xff8, 8), 0u);
}

}  // namespace
}  // namespace doppel::device::pci
