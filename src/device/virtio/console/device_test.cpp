#include "device/virtio/console/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/virtio/console/testing.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::console {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

constexpr unsigned kPort = 1;
constexpr unsigned kToGuest = 4, kFromGuest = 5;  // queues of port 1
constexpr uint64_t kAll = kMultiport | kConsoleSize | kEmergency;

std::span<const uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Port 0 is a console, port 1 is "org.test".
struct Fixture {
    Fixture() : driver(machine) {
        auto made = std::make_unique<ConsoleDevice>(
            ConsoleOptions{{{.number = 0, .name = "", .is_console = true, .backend = &console},
                            {.number = kPort, .name = "org.test", .backend = &backend}},
                           [this](uint8_t character) { emergency += static_cast<char>(character); }});
        device = made.get();
        machine.add(ConsoleDriver::kSlot, std::move(made));
    }
    // As Linux does: buffers for control messages, DEVICE_READY, PORT_READY and PORT_OPEN of port 1.
    void open() {
        ASSERT_TRUE(machine.mapped && driver.start(kAll));
        for (uint16_t head = 0; head < 8; head++) driver.offer_buffer(2, head);
        driver.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        for (int i = 0; i < 2; i++) driver.read(2);
        driver.control(kPort, VIRTIO_CONSOLE_PORT_READY, 1);
        for (int i = 0; i < 2; i++) driver.read(2);
        driver.control(kPort, VIRTIO_CONSOLE_PORT_OPEN, 1);
        ASSERT_TRUE(device->guest_open(kPort));
    }

    FakeMachine machine;
    FakeBackend console, backend;
    std::string emergency;
    ConsoleDevice* device;
    ConsoleDriver driver;
};

TEST(VirtioConsole, IsAConsoleDeviceWithTwoQueuesAPortAndTwoForControl) {
    Fixture f;
    EXPECT_EQ(f.machine.pci.config(ConsoleDriver::kSlot, PCI_VENDOR_ID, 4), 0x10431af4u);
    ASSERT_TRUE(f.driver.raw().discover());
    EXPECT_EQ(f.driver.raw().read(VIRTIO_PCI_COMMON_NUMQ, 2), 6u);
    EXPECT_EQ(f.driver.raw().offered_features() & kAll, kAll);
    EXPECT_EQ(f.machine.pci.read(f.driver.raw().device_config() + 4, 4), 2u) << "max_nr_ports";
}

TEST(VirtioConsole, TellsOfItsPortsWhenAskedAndOfTheirNamesWhenTheyAreReady) {
    Fixture f;
    ASSERT_TRUE(f.driver.start(kAll));
    for (uint16_t head = 0; head < 8; head++) f.driver.offer_buffer(2, head);
    EXPECT_EQ(f.driver.read(2), "(nothing)");
    f.driver.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_PORT_ADD, 1));
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(1, VIRTIO_CONSOLE_PORT_ADD, 1));
    f.device->resize(0, 80, 25);
    f.driver.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1));
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_RESIZE, 1, "\x50\0\x19\0"s));
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_PORT_OPEN, 1));
    f.driver.control(1, VIRTIO_CONSOLE_PORT_READY, 1);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.test"));
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(1, VIRTIO_CONSOLE_PORT_OPEN, 1));
    EXPECT_EQ(f.driver.read(2), "(nothing)");
}

TEST(VirtioConsole, SaysTheSizeInItsConfigurationAndByAMessage) {
    Fixture f;
    f.open();
    f.driver.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
    for (int i = 0; i < 3; i++) f.driver.read(2);
    f.device->resize(0, 132, 50);
    f.device->resize(0, 133, 1 << 20);
    f.machine.settle();
    EXPECT_EQ(f.machine.pci.read(f.driver.raw().device_config(), 4), 0xffff0085u);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_RESIZE, 1, "\x85\0\xff\xff"s));
    f.device->resize(kPort, 1, 1);  // no console
    f.machine.settle();
    EXPECT_EQ(f.driver.read(2), "(nothing)");
}

TEST(VirtioConsole, KeepsControlMessagesUntilThereAreBuffers) {
    Fixture f;
    ASSERT_TRUE(f.driver.start(kAll));
    for (int i = 0; i < 1000; i++) f.driver.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    f.driver.offer_buffer(2, 0);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(0, VIRTIO_CONSOLE_PORT_ADD, 1));
    EXPECT_EQ(f.driver.read(2), "(nothing)");
    f.driver.offer_buffer(2, 1);
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(1, VIRTIO_CONSOLE_PORT_ADD, 1));
    f.driver.offer_buffer(2, 2);
    EXPECT_EQ(f.driver.read(2), "(nothing)") << "each port is added once";
}

TEST(VirtioConsole, CarriesBytesBothWays) {
    Fixture f;
    f.open();
    EXPECT_THAT(f.backend.openings, ElementsAre(true));
    f.driver.write(kFromGuest, 0, "hello");
    f.driver.write(kFromGuest, 1, " host");
    EXPECT_EQ(f.backend.got, "hello host");
    EXPECT_EQ(f.driver.take(kFromGuest), (FakeDriver::Used{0, 0}));
    EXPECT_TRUE(f.device->send(kPort, bytes("hello guest")));
    f.driver.offer_buffer(kToGuest, 0, 6);
    f.driver.offer_buffer(kToGuest, 1);
    EXPECT_EQ(f.driver.read(kToGuest), "hello ");
    EXPECT_EQ(f.driver.read(kToGuest), "guest");
    EXPECT_EQ(f.console.got, "");
}

TEST(VirtioConsole, HoldsTheGuestsBuffersWhileItsBackendRefuses) {
    Fixture f;
    f.open();
    f.backend.appetite = 3;
    f.driver.write(kFromGuest, 0, "slowly");
    f.driver.write(kFromGuest, 1, "!");
    EXPECT_EQ(f.backend.got, "slo");
    EXPECT_EQ(f.driver.take(kFromGuest), std::nullopt);
    f.backend.appetite = 100;
    f.machine.settle();
    EXPECT_EQ(f.backend.got, "slo") << "it has not said that it takes more";
    f.device->take_again(kPort);
    f.machine.settle();
    EXPECT_EQ(f.backend.got, "slowly!");
    EXPECT_EQ(f.driver.take(kFromGuest), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.driver.take(kFromGuest), (FakeDriver::Used{1, 0}));
}

TEST(VirtioConsole, RefusesInputOnceItsBufferIsFullAndTellsOfRoomOnce) {
    Fixture f;
    f.open();
    const std::string half(ConsoleDevice::kMaxSend, 'x');
    EXPECT_TRUE(f.device->send(kPort, bytes(half)));
    EXPECT_TRUE(f.device->send(kPort, bytes(half)));
    EXPECT_FALSE(f.device->send(kPort, bytes("y")));
    EXPECT_FALSE(f.device->send(kPort, bytes("z")));
    size_t got = 0;
    while (got < ConsoleDevice::kInputCapacity) {
        EXPECT_EQ(f.backend.rooms, got >= ConsoleDevice::kInputCapacity / 2 ? 1 : 0);
        f.driver.offer_buffer(kToGuest, 0);
        got += f.driver.read(kToGuest).size();
    }
    EXPECT_EQ(got, ConsoleDevice::kInputCapacity);
    EXPECT_EQ(f.backend.rooms, 1);
}

TEST(VirtioConsole, TakesNothingForAPortThatTheGuestHasClosed) {
    Fixture f;
    f.open();
    EXPECT_TRUE(f.device->send(kPort, bytes("lost")));
    f.driver.control(kPort, VIRTIO_CONSOLE_PORT_OPEN, 0);
    EXPECT_FALSE(f.device->send(kPort, bytes("refused")));
    f.driver.control(kPort, VIRTIO_CONSOLE_PORT_OPEN, 1);
    EXPECT_THAT(f.backend.openings, ElementsAre(true, false, true));
    f.driver.offer_buffer(kToGuest, 0);
    EXPECT_EQ(f.driver.read(kToGuest), "(nothing)");
    EXPECT_TRUE(f.device->send(kPort, bytes("new")));
    f.machine.settle();
    EXPECT_EQ(f.driver.read(kToGuest), "new");
}

TEST(VirtioConsole, TellsTheGuestWhenTheHostGoesAndComes) {
    Fixture f;
    f.open();
    f.device->set_host_connected(kPort, false);
    f.machine.settle();
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(kPort, VIRTIO_CONSOLE_PORT_OPEN, 0));
    f.device->set_host_connected(kPort, true);
    f.machine.settle();
    EXPECT_EQ(f.driver.read(2), ConsoleDriver::message(kPort, VIRTIO_CONSOLE_PORT_OPEN, 1));
}

TEST(VirtioConsole, IsOneConsoleForADriverThatKnowsNoPorts) {
    Fixture f;
    ASSERT_TRUE(f.driver.start(0, 2));
    EXPECT_THAT(f.console.openings, ElementsAre(true));
    f.driver.write(1, 0, "login:");
    EXPECT_EQ(f.console.got, "login:");
    EXPECT_TRUE(f.device->send(0, bytes("root")));
    f.driver.offer_buffer(0, 0);
    EXPECT_EQ(f.driver.read(0), "root");
}

TEST(VirtioConsole, TakesEmergencyOutputBeforeItsDriverIsReady) {
    Fixture f;
    ASSERT_TRUE(f.driver.raw().discover());
    for (char c : "oops"s) (void)f.machine.pci.write(f.driver.raw().device_config() + 8, 4, static_cast<uint8_t>(c));
    EXPECT_EQ(f.emergency, "oops");
}

TEST(VirtioConsole, IgnoresControlMessagesThatMakeNoSense) {
    Fixture f;
    ASSERT_TRUE(f.driver.start(kAll));
    f.driver.control(kPort, VIRTIO_CONSOLE_PORT_OPEN, 1);  // before it was added
    EXPECT_FALSE(f.device->guest_open(kPort));
    f.driver.write(3, 9, "short");
    f.driver.control(77, VIRTIO_CONSOLE_PORT_READY, 1);
    f.driver.control(0, 999, 1);
    f.driver.offer_buffer(2, 0);
    EXPECT_EQ(f.driver.read(2), "(nothing)");
    EXPECT_EQ(f.driver.raw().status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

TEST(VirtioConsole, ForgetsWhatWasUnderWayWhenItIsReset) {
    Fixture f;
    f.open();
    f.backend.appetite = 1;
    f.driver.write(kFromGuest, 0, "old");
    EXPECT_TRUE(f.device->send(kPort, bytes("old")));
    f.driver.raw().set_status(0);
    EXPECT_THAT(f.backend.openings, ElementsAre(true, false));
    f.device->take_again(kPort);
    EXPECT_FALSE(f.device->send(kPort, bytes("between")));
    f.machine.settle();
    f.backend.appetite = 100;
    f.driver = ConsoleDriver(f.machine);
    for (uint64_t ring = 0; ring < 6; ring++) {
        f.machine.put<uint32_t>(kFakeRam + ring * 0x30000 + 0x10000, 0);
        f.machine.put<uint32_t>(kFakeRam + ring * 0x30000 + 0x20000, 0);
    }
    f.open();
    f.driver.write(kFromGuest, 0, "new");
    f.driver.offer_buffer(kToGuest, 0);
    EXPECT_EQ(f.backend.got, "onew");
    EXPECT_EQ(f.driver.read(kToGuest), "(nothing)");
}

TEST(VirtioConsole, GoesOnInARestoredMachineInTheMiddleOfABuffer) {
    Fixture before;
    before.open();
    before.backend.appetite = 4;
    before.driver.write(kFromGuest, 0, "half done");
    EXPECT_TRUE(before.device->send(kPort, bytes("for the guest")));
    before.machine.settle();

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.machine.settle();
    EXPECT_THAT(after.backend.openings, ElementsAre(true));
    EXPECT_EQ(after.backend.got, " done");
    after.driver = before.driver;
    after.driver.move_to(after.machine);
    EXPECT_EQ(after.driver.take(kFromGuest), (FakeDriver::Used{0, 0}));
    after.driver.offer_buffer(kToGuest, 0);
    EXPECT_EQ(after.driver.read(kToGuest), "for the guest");
}

TEST(VirtioConsole, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.open();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::console
