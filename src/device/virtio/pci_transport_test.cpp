#include "device/virtio/pci_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "device/virtio/echo_fixture.h"

namespace doppel::device::virtio {
namespace {

constexpr unsigned kSlot = 2;
constexpr uint8_t kNeedsReset = VIRTIO_CONFIG_S_NEEDS_RESET;

struct Fixture : EchoFixture {
    explicit Fixture(MsiSink* messages = nullptr) : EchoFixture(kSlot, FakeTransport::kPci, messages) {}
};

TEST(PciTransport, IsAModernVirtioFunction) {
    Fixture f;
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_VENDOR_ID, 4), 0x1040u << 16 | 42u << 16 | 0x1af4u);
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_CLASS_REVISION, 4), 0x00ff0001u);
    EXPECT_GE(f.machine.pci.config(kSlot, PCI_SUBSYSTEM_ID, 2), 0x40u);
    EXPECT_TRUE(f.driver.discover());
    EXPECT_NE(f.driver.device_config(), 0u);
    EXPECT_EQ(f.driver.offered_features(), kOwnFeature | kVersion1Feature | kIndirectFeature | kEventIndexFeature);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 2u);
}

TEST(PciTransport, TakesOnlyFeaturesThatItOffersAndVersion1) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover());
    EXPECT_FALSE(f.driver.negotiate(kOwnFeature));
    f.driver.ready();
    EXPECT_EQ(f.driver.status(), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    EXPECT_FALSE(f.driver.negotiate(kVersion1Feature | uint64_t{1} << 40));
    EXPECT_TRUE(f.driver.negotiate(kVersion1Feature | kOwnFeature));
    f.driver.write(VIRTIO_PCI_COMMON_GF, 4, 0);
    f.driver.ready();
    EXPECT_EQ(f.echo->active_features, kVersion1Feature | kOwnFeature);
}

TEST(PciTransport, NeverClearsStatusBitsExceptByReset) {
    Fixture f;
    f.start();
    uint8_t status = f.driver.status();
    f.driver.set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | kNeedsReset);
    EXPECT_EQ(f.driver.status(), status);
    int resets = f.echo->resets;
    f.driver.set_status(0);
    EXPECT_EQ(f.driver.status(), 0);
    EXPECT_EQ(f.echo->resets, resets + 1);
    f.driver.write(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0u);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_SIZE, 2), 16u);
}

TEST(PciTransport, IsFreeWhileNoDriverHasIt) {
    Fixture f;
    const auto* transport = dynamic_cast<PciTransport*>(f.machine.pci.host.function(kSlot));
    ASSERT_NE(transport, nullptr);
    EXPECT_TRUE(transport->free());
    f.start();
    EXPECT_FALSE(transport->free());
    f.driver.set_status(0);
    EXPECT_TRUE(transport->free());
    f.driver.set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    EXPECT_TRUE(transport->free()) << "as Linux leaves it";
    f.driver.set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    EXPECT_FALSE(transport->free());
}

TEST(PciTransport, LocksAQueueOnceItIsEnabled) {
    Fixture f;
    f.start(0, 4);
    f.driver.write(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
    f.driver.write(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x1234);
    f.driver.write(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_SIZE, 2), 4u);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_DESCLO, 8), kFakeRam);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_USEDLO, 8), f.ring.used);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1u);
}

TEST(PciTransport, ShowsNoQueueBeyondTheLast) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover());
    for (uint16_t index : {2, 0xffff}) {
        f.driver.write(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
        f.driver.write(VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
        f.driver.write(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
        EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0u);
        EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0u);
    }
}

TEST(PciTransport, HandlesChainsOnTheIoThreadAndInterrupts) {
    Fixture f;
    f.start();
    f.submit(0);
    f.submit(4, 0x68676665);
    f.driver.kick(f.ring);
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{4, 4}));
    EXPECT_EQ(f.answer(0), 0x44434241u);
    EXPECT_EQ(f.answer(4), 0x48474645u);
    EXPECT_EQ(f.machine.pci.lines.edges(0x22), 1);
    EXPECT_TRUE(f.driver.interrupt());
    EXPECT_EQ(f.driver.isr(), 1);
    EXPECT_FALSE(f.driver.interrupt());
    EXPECT_EQ(f.driver.isr(), 0);
}

TEST(PciTransport, PostsOneMessageForManyNotifications) {
    Fixture f;
    f.start();
    for (int i = 0; i < 1000; i++) f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.echo->notified, 1);
}

TEST(PciTransport, LeavesTheIoThreadToOthersAfterOneQueueLength) {
    Fixture f;
    f.start();
    int handled = 0;
    f.echo->before = [&] {
        handled++;
        if (handled < 100) f.submit(static_cast<uint16_t>(handled % 2 * 4));
    };
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.loop->run_ready();
    EXPECT_EQ(handled, 16);
    f.machine.settle();
    EXPECT_EQ(handled, 100);
}

TEST(PciTransport, IgnoresNotificationsBeforeDriverOkAndOfWildQueues) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover());
    ASSERT_TRUE(f.driver.negotiate(kVersion1Feature));
    f.ring = f.driver.set_up_queue(0, 16);
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.echo->notified, 0);
    f.driver.ready();
    (void)f.machine.pci.write(f.ring.notify + 8, 2, 2);
    (void)f.machine.pci.write(f.ring.notify + 0xffc, 4, 2);
    f.machine.settle();
    EXPECT_EQ(f.echo->notified, 0);
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
}

TEST(PciTransport, LeavesMemoryAloneWithoutBusMastering) {
    Fixture f;
    f.start();
    f.machine.pci.set_config(kSlot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    f.machine.pci.set_config(kSlot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
}

TEST(PciTransport, AsksForAResetAfterAHostileChainAndWorksAfterIt) {
    Fixture f;
    f.start();
    f.driver.submit(f.ring, 0, {{0x10, 4}});
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.driver.status() & kNeedsReset, kNeedsReset);
    EXPECT_EQ(f.driver.isr(), VIRTIO_PCI_ISR_CONFIG);
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);

    f.driver.set_status(0);
    ASSERT_TRUE(f.machine.memory.fill(kFakeRam, 0x30000, 0));
    f.start();
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(f.driver.status() & kNeedsReset, 0);
}

TEST(PciTransport, AsksForAResetWhenRingsLieOutsideMemory) {
    Fixture f;
    ASSERT_TRUE(f.driver.discover());
    ASSERT_TRUE(f.driver.negotiate(kVersion1Feature));
    f.driver.set_up_queue(1, 8, 0x10000);
    EXPECT_EQ(f.driver.status() & kNeedsReset, 0);
    f.driver.ready();
    EXPECT_EQ(f.driver.status() & kNeedsReset, kNeedsReset);
}

TEST(PciTransport, GivesItsConfigurationAndTellsOfChanges) {
    Fixture f;
    f.start();
    pci::TestHost& pci = f.machine.pci;
    uint64_t config = f.driver.device_config();
    EXPECT_EQ(pci.read(config, 4), 0x04030201u);
    EXPECT_EQ(pci.read(config + 4, 4), 0x0605u);
    EXPECT_EQ(pci.read(config + 8, 8), 0u);
    (void)pci.write(config + 4, 4, 0xffffffff);
    (void)pci.write(config + 4, 2, 0xaabb);
    EXPECT_EQ(pci.read(config + 4, 2), 0xaabbu);
    uint64_t generation = f.driver.read(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    f.echo->change_config(9);
    EXPECT_NE(f.driver.read(VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
    EXPECT_EQ(pci.read(config, 1), 9u);
    EXPECT_EQ(f.driver.isr(), VIRTIO_PCI_ISR_CONFIG);
}

TEST(PciTransport, ReachesItsRegistersThroughConfigurationSpace) {
    Fixture f;
    f.start();
    pci::TestHost& pci = f.machine.pci;
    unsigned window = f.driver.window();
    auto aim = [&](uint8_t bar, uint64_t offset, uint32_t length) {
        pci.set_config(kSlot, window + VIRTIO_PCI_CAP_BAR, 1, bar);
        pci.set_config(kSlot, window + VIRTIO_PCI_CAP_OFFSET, 4, offset);
        pci.set_config(kSlot, window + VIRTIO_PCI_CAP_LENGTH, 4, length);
    };
    unsigned data = window + 16;
    aim(4, f.driver.common() - FakeDriver::kRegisters + VIRTIO_PCI_COMMON_STATUS, 1);
    EXPECT_EQ(pci.config(kSlot, data, 4), f.driver.status());
    pci.set_config(kSlot, data, 4, 0);
    EXPECT_EQ(f.driver.status(), 0);

    uint64_t config = f.driver.device_config() - FakeDriver::kRegisters;
    aim(4, config, 4);
    EXPECT_EQ(pci.config(kSlot, data, 4), 0x04030201u);
    pci.set_config(kSlot, data, 4, 0x55);
    for (auto [bar, offset, length] : {std::tuple(0, config, 4u),
                                       {4, config + 1, 4u},
                                       {4, config, 3u},
                                       {4, config, 8u},
                                       {4, uint64_t{0x4000}, 4u},
                                       {255, config, 4u},
                                       {4, uint64_t{0xfffffffc}, 4u}}) {
        aim(static_cast<uint8_t>(bar), offset, length);
        pci.set_config(kSlot, data, 4, 0x77);
        EXPECT_EQ(pci.config(kSlot, data, 4), 0x77u);
    }
    EXPECT_EQ(pci.read(f.driver.device_config(), 4), 0x55u);
}

TEST(PciTransport, SendsMessagesOnceMsixIsEnabled) {
    pci::RecordedMessages messages;
    Fixture f(&messages);
    f.start();
    pci::TestHost& pci = f.machine.pci;
    unsigned msix = pci.find_capability(kSlot, PCI_CAP_ID_MSIX);
    ASSERT_NE(msix, 0u);
    for (unsigned vector = 0; vector < 3; vector++) {
        (void)pci.write(FakeDriver::kVectors + vector * 16, 8, 0x1000);
        (void)pci.write(FakeDriver::kVectors + vector * 16 + 8, 8, 100 + vector);
    }
    pci.set_config(kSlot, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    f.driver.write(VIRTIO_PCI_COMMON_MSIX, 2, 0);
    f.driver.write(VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffffu);
    f.driver.write(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_Q_MSIX, 2), 2u);
    f.submit(0);
    f.driver.kick(f.ring);
    f.machine.settle();
    f.echo->change_config(1);
    using Message = std::pair<uint64_t, uint32_t>;
    EXPECT_EQ(messages.sent, (std::vector<Message>{{0x1000, 102}, {0x1000, 100}}));
    EXPECT_FALSE(f.driver.interrupt());
    EXPECT_EQ(f.driver.isr(), 0);
}

TEST(PciTransport, HasNoVectorsWhereMessagesCannotBeSent) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.machine.pci.find_capability(kSlot, PCI_CAP_ID_MSIX), 0u);
    f.driver.write(VIRTIO_PCI_COMMON_MSIX, 2, 0);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_MSIX, 2), 0xffffu);
}

TEST(PciTransport, DropsWhatWasUnderWayWhenReset) {
    Fixture f;
    f.start();
    f.submit(0);
    f.driver.kick(f.ring);
    f.driver.set_status(0);
    f.machine.settle();
    EXPECT_EQ(f.echo->notified, 0);
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);

    ASSERT_TRUE(f.machine.memory.fill(kFakeRam, 0x30000, 0));
    f.start();
    f.submit(0);
    f.echo->hold(0);
    EXPECT_EQ(f.echo->held.size(), 1u);
    f.driver.set_status(0);
    f.echo->finish(0);
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    EXPECT_EQ(f.answer(0), 0u);
    EXPECT_FALSE(f.driver.interrupt());
}

TEST(PciTransport, SurvivesResetsWhileTheIoThreadWorks) {
    Fixture f;
    f.start();
    std::thread io([&] { f.machine.loop->run(); });
    for (int round = 0; round < 300; round++) {
        if (round % 3 == 2) {
            f.machine.pci.reset();
        } else {
            f.driver.set_status(0);
            EXPECT_EQ(f.driver.status(), 0);
        }
        // From here on the device leaves memory alone.
        f.machine.put<uint16_t>(f.ring.available + 2, 0);
        f.machine.put<uint16_t>(f.ring.used + 2, 0);
        f.start(round % 2 == 0 ? kEventIndexFeature : 0);
        for (uint16_t head = 0; head < 16; head = static_cast<uint16_t>(head + 2)) {
            f.submit(head);
            f.driver.kick(f.ring);
        }
    }
    // The last start is not followed by a reset: all of it must be done in the end.
    for (int done = 0; done < 8;) {
        if (f.driver.take(f.ring)) {
            done++;
        } else {
            std::this_thread::yield();
        }
    }
    f.machine.loop->stop();
    io.join();
    EXPECT_EQ(f.driver.status() & kNeedsReset, 0);
}

TEST(PciTransport, MayGoWhileAMessageOfItsIsInTheLoop) {
    memory::GuestMemory memory;
    auto loop = std::move(*EventLoop::create());
    {
        FakeMachine machine;
        machine.loop.swap(loop);
        machine.add(kSlot, std::make_unique<EchoDevice>());
        FakeDriver driver(machine, kSlot);
        auto ring = driver.start(0, 16);
        ASSERT_TRUE(ring.has_value());
        driver.kick(*ring);
        machine.loop.swap(loop);
    }
    loop->run_ready();
}

TEST(PciTransport, GoesOnInARestoredMachineWithWhatWasPending) {
    for (uint64_t features : {uint64_t{0}, kEventIndexFeature}) {
        Fixture before;
        before.start(features);
        before.submit(0);
        before.driver.kick(before.ring);
        before.machine.settle();
        before.submit(2);
        before.echo->hold(0);
        before.submit(4);
        before.driver.kick(before.ring);

        Fixture after;
        const auto state = saved(before.machine.pci.host);
        ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
        EXPECT_EQ(saved(after.machine.pci.host), state);
        EXPECT_TRUE(after.driver.discover() && after.driver.interrupt());
        EXPECT_EQ(after.driver.isr(), 1);
        EXPECT_EQ(after.echo->active_features, features | kVersion1Feature);
        after.ring = before.ring;
        EXPECT_EQ(after.driver.take(after.ring), (FakeDriver::Used{0, 4}));
        after.machine.settle();
        EXPECT_EQ(after.driver.take(after.ring), (FakeDriver::Used{2, 4}));
        EXPECT_EQ(after.driver.take(after.ring), (FakeDriver::Used{4, 4}));
        EXPECT_EQ(after.driver.take(after.ring), std::nullopt);
        EXPECT_EQ(after.answer(2), 0x44434241u);
    }
}

TEST(PciTransport, RefusesStatesOfOtherDevices) {
    Fixture f;
    auto state = saved(f.machine.pci.host);
    FakeMachine other;
    pci::add_test_function(other.pci, kSlot);
    auto own = saved(other.pci.host);
    EXPECT_FALSE(restore(other.pci.host, state).has_value());
    EXPECT_EQ(saved(other.pci.host), own);
    EXPECT_FALSE(restore(f.machine.pci.host, own).has_value());
    EXPECT_EQ(saved(f.machine.pci.host), state);
}

}  // namespace
}  // namespace doppel::device::virtio
