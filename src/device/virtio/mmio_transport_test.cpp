#include "device/virtio/mmio_transport.h"

#include <gtest/gtest.h>

#include "device/virtio/echo_fixture.h"

namespace doppel::device::virtio {
namespace {

constexpr unsigned kSlot = 2;
constexpr uint8_t kNeedsReset = VIRTIO_CONFIG_S_NEEDS_RESET;
constexpr uint8_t kQueueCause = 1, kConfigCause = 2;

struct Fixture : EchoFixture {
    Fixture() : EchoFixture(kSlot, FakeTransport::kMmio) {}
    // And lets the machine answer.
    void submit(uint16_t head) {
        EchoFixture::submit(head);
        driver.kick(ring);
        machine.settle();
    }
    MmioTransport& transport() { return *machine.mmio[0]; }
};

TEST(MmioTransport, SaysWhatItIs) {
    Fixture f;
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976u);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_VERSION), 2u);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_DEVICE_ID), 42u);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_VENDOR_ID), 0x1af4u);
    f.driver.put(VIRTIO_MMIO_SHM_SEL, 0);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_SHM_LEN_LOW), ~0u) << "it has no shared memory";
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_SHM_LEN_HIGH), ~0u);
    ASSERT_TRUE(f.driver.discover());
    EXPECT_EQ(f.driver.offered_features() & 0xff, kOwnFeature);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 2u);
    f.driver.put(VIRTIO_MMIO_QUEUE_SEL, 1);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_QUEUE_NUM_MAX), 8u);
    f.driver.put(VIRTIO_MMIO_QUEUE_SEL, 0x10000);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0u);
}

TEST(MmioTransport, CarriesRequestsAndInterruptsUntilAcknowledged) {
    Fixture f;
    f.start(kOwnFeature | kEventIndexFeature);
    EXPECT_EQ(f.echo->active_features, kOwnFeature | kEventIndexFeature | kVersion1Feature);
    f.submit(0);
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(f.machine.get<uint32_t>(kEchoData + 8), 0x44434241u);
    EXPECT_TRUE(f.driver.interrupt());
    f.driver.put(VIRTIO_MMIO_INTERRUPT_ACK, kConfigCause);
    EXPECT_TRUE(f.driver.interrupt()) << "that was not it";
    EXPECT_EQ(f.driver.isr(), kQueueCause);
    EXPECT_FALSE(f.driver.interrupt());
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);
}

TEST(MmioTransport, TellsOfChangedConfiguration) {
    Fixture f;
    f.start();
    const uint32_t before = f.driver.get(VIRTIO_MMIO_CONFIG_GENERATION);
    f.echo->change_config(9);
    EXPECT_NE(f.driver.get(VIRTIO_MMIO_CONFIG_GENERATION), before);
    EXPECT_EQ(f.driver.isr(), kConfigCause);
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config(), 1), 9u);
    ASSERT_TRUE(f.machine.pci.write(f.driver.device_config() + 2, 2, 0x0807));
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config(), 4), 0x08070209u);
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config() + 4, 4), 0x0605u) << "zeroes behind its end";
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config() + 0xe00, 4), 0u);
}

TEST(MmioTransport, RefusesFeaturesThatItDidNotOffer) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover());
    EXPECT_FALSE(f.driver.negotiate(kVersion1Feature | 1 << 5));
    f.driver.set_status(0);
    EXPECT_FALSE(f.driver.negotiate(kOwnFeature)) << "a driver of before version 1";
    f.driver.set_status(0);
    EXPECT_TRUE(f.driver.negotiate(kVersion1Feature));
}

TEST(MmioTransport, TakesRegistersIn32BitsOnly) {
    Fixture f;
    f.start();
    const uint64_t status = f.driver.mmio_at(VIRTIO_MMIO_STATUS);
    ASSERT_TRUE(f.machine.pci.write(status, 1, 0) && f.machine.pci.write(status, 8, 0));
    EXPECT_NE(f.driver.status(), 0);
    EXPECT_EQ(f.machine.pci.read(status, 1), 0u);
    EXPECT_EQ(f.machine.pci.read(f.driver.mmio_at(VIRTIO_MMIO_MAGIC_VALUE), 2), 0u);
}

TEST(MmioTransport, AStoppedQueueForgetsItsRings) {
    Fixture f;
    f.start();
    f.submit(0);
    f.driver.put(VIRTIO_MMIO_QUEUE_SEL, 0);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_QUEUE_READY), 1u);
    f.driver.put(VIRTIO_MMIO_QUEUE_READY, 0);
    EXPECT_EQ(f.driver.get(VIRTIO_MMIO_QUEUE_READY), 0u);
    f.submit(2);
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    // And can be set up again, elsewhere.
    f.ring = f.driver.set_up_queue(0, 8, kFakeRam + 0x100000);
    f.submit(0);
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
}

TEST(MmioTransport, RingsOutsideMemoryAndWildQueuesDoNoHarm) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover() && f.driver.negotiate(kVersion1Feature));
    f.driver.set_up_queue(0, 16, 0x1000000000);
    f.driver.set_up_queue(7, 16);
    f.driver.ready();
    EXPECT_NE(f.driver.status() & kNeedsReset, 0);
    for (uint32_t queue : {0u, 1u, 7u, ~0u}) f.driver.put(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    f.machine.settle();
    EXPECT_EQ(f.echo->notified, 0);
    EXPECT_EQ(f.driver.isr(), kConfigCause);
}

TEST(MmioTransport, AResetDropsWhatIsUnderWay) {
    Fixture f;
    f.start();
    f.submit(0);
    f.driver.submit(f.ring, 2, {{kEchoData, 4}, {kEchoData + 8, 4, kWrite}});
    f.echo->hold(0);
    f.driver.set_status(0);
    EXPECT_EQ(f.driver.status(), 0);
    EXPECT_FALSE(f.driver.interrupt());
    EXPECT_EQ(f.echo->resets, 1);
    f.echo->finish(0);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4})) << "of before";
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    EXPECT_FALSE(f.driver.interrupt());
}

TEST(MmioTransport, GoesOnInARestoredMachine) {
    Fixture before;
    before.start();
    before.submit(0);
    before.driver.submit(before.ring, 2, {{kEchoData, 4}, {kEchoData + 8, 4, kWrite}});
    before.driver.kick(before.ring);  // and it is not processed any more

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    EXPECT_TRUE(after.driver.interrupt()) << "that of the first request";
    before.driver.move_to(after.machine);
    after.machine.settle();
    EXPECT_EQ(before.driver.take(before.ring), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(before.driver.take(before.ring), (FakeDriver::Used{2, 4}));
    EXPECT_EQ(before.driver.isr(), kQueueCause);
}

TEST(MmioTransport, RefusesAStateOfAnotherDevice) {
    Fixture f;
    StateWriter nothing;
    nothing.field(1, uint64_t{5});
    const auto before = saved(f.transport());
    EXPECT_FALSE(restore(f.transport(), nothing.finish()).has_value());
    EXPECT_EQ(saved(f.transport()), before);
}

}  // namespace
}  // namespace doppel::device::virtio
