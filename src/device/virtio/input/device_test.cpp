#include "device/virtio/input/device.h"

#include <gtest/gtest.h>
#include <linux/input.h>
#include <linux/virtio_input.h>

#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::input {
namespace {

constexpr unsigned kSlot = 1;
constexpr uint64_t kData = kFakeRam + 0x100000;
constexpr uint16_t kEvents = 0, kStatus = 1;
constexpr uint32_t kEventBytes = sizeof(virtio_input_event);

struct Fixture {
    Fixture() : driver(machine, kSlot) {
        auto made = std::make_unique<PowerKeyDevice>();
        device = made.get();
        machine.add(kSlot, std::move(made));
    }
    void start() {
        ASSERT_TRUE(machine.mapped && driver.discover() && driver.negotiate(kVersion1Feature | kEventIndexFeature));
        ASSERT_TRUE(machine.memory.fill(kFakeRam, rings.size() * 0x30000, 0));
        for (uint16_t i = 0; i < rings.size(); i++) rings[i] = driver.set_up_queue(i, 16, kFakeRam + i * 0x30000);
        driver.ready();
    }
    void offer_event_buffers(uint16_t first, uint16_t count) {
        for (uint16_t i = first; i < first + count; i++) {
            driver.submit(rings[kEvents], i, {{kData + i * kEventBytes, kEventBytes, kWrite}});
        }
        driver.kick_if_wanted(rings[kEvents]);
    }
    // (type, code, value) of each event that came.
    std::vector<std::array<uint32_t, 3>> events() {
        machine.settle();
        std::vector<std::array<uint32_t, 3>> found;
        while (auto used = driver.take(rings[kEvents])) {
            if (used->written != kEventBytes) continue;
            const uint64_t at = kData + used->head * kEventBytes;
            found.push_back({machine.get<uint16_t>(at), machine.get<uint16_t>(at + 2), machine.get<uint32_t>(at + 4)});
        }
        return found;
    }
    // What a selection shows.
    std::vector<uint8_t> select(uint8_t select, uint8_t subselect) {
        const uint64_t config = driver.device_config();
        EXPECT_TRUE(machine.pci.write(config, 1, select) && machine.pci.write(config + 1, 1, subselect));
        std::vector<uint8_t> bytes(machine.pci.read(config + 2, 1));
        for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(machine.pci.read(config + 8 + i, 1));
        return bytes;
    }

    FakeMachine machine;
    FakeDriver driver;
    PowerKeyDevice* device = nullptr;
    std::array<FakeDriver::Ring, 2> rings;
};

const std::vector<std::array<uint32_t, 3>> kPress{
    {EV_KEY, KEY_POWER, 1}, {EV_SYN, SYN_REPORT, 0}, {EV_KEY, KEY_POWER, 0}, {EV_SYN, SYN_REPORT, 0}};

TEST(VirtioInput, SaysThatItIsAKeyboardWithAPowerKeyAlone) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_DEVICE_ID, 2), 0x1052u);
    auto name = f.select(VIRTIO_INPUT_CFG_ID_NAME, 0);
    EXPECT_EQ(std::string(name.begin(), name.end()), "doppel power key");
    EXPECT_FALSE(f.select(VIRTIO_INPUT_CFG_ID_SERIAL, 0).empty());
    EXPECT_EQ(f.select(VIRTIO_INPUT_CFG_ID_DEVIDS, 0), (std::vector<uint8_t>{BUS_VIRTUAL, 0, 0xf4, 0x1a, 1, 0, 1, 0}));
    std::vector<uint8_t> keys(15);
    keys[14] = 1 << 4;  // KEY_POWER is 116
    EXPECT_EQ(f.select(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY), keys);
    for (uint8_t type : {EV_REL, EV_ABS, EV_LED, 0xff}) {
        EXPECT_TRUE(f.select(VIRTIO_INPUT_CFG_EV_BITS, type).empty()) << int{type};
    }
    EXPECT_TRUE(f.select(VIRTIO_INPUT_CFG_ABS_INFO, 0).empty());
    EXPECT_TRUE(f.select(0xff, 0xff).empty());
}

TEST(VirtioInput, APressArrivesAsKeyDownAndKeyUp) {
    Fixture f;
    f.start();
    f.offer_event_buffers(0, 8);
    EXPECT_TRUE(f.device->press_power());
    EXPECT_EQ(f.events(), kPress);
    EXPECT_TRUE(f.driver.interrupt());
}

TEST(VirtioInput, EventsWaitForBuffers) {
    Fixture f;
    f.start();
    f.offer_event_buffers(0, 1);
    EXPECT_TRUE(f.device->press_power());
    auto seen = f.events();
    EXPECT_EQ(seen.size(), 1u);
    f.offer_event_buffers(1, 8);
    for (auto& event : f.events()) seen.push_back(event);
    EXPECT_EQ(seen, kPress);
}

TEST(VirtioInput, ADriverThatTakesNothingHearsOfSomePressesAndNoMore) {
    Fixture f;
    EXPECT_FALSE(f.device->press_power()) << "there is no driver";
    f.start();
    for (size_t i = 0; i < PowerKeyDevice::kMaxPending / 4; i++) EXPECT_TRUE(f.device->press_power());
    EXPECT_FALSE(f.device->press_power());
    f.driver.set_status(0);
    EXPECT_FALSE(f.device->press_power());
    f.start();
    f.offer_event_buffers(0, 8);
    EXPECT_TRUE(f.events().empty()) << "the presses were the former driver's";
}

TEST(VirtioInput, SkipsBuffersWithoutRoomAndGivesStatusBack) {
    Fixture f;
    f.start();
    f.driver.submit(f.rings[kEvents], 0, {{kData, kEventBytes - 1, kWrite}});
    f.driver.submit(f.rings[kEvents], 1, {{kData, kEventBytes}});
    f.offer_event_buffers(2, 4);
    EXPECT_TRUE(f.device->press_power());
    EXPECT_EQ(f.events(), kPress);
    f.driver.submit(f.rings[kStatus], 0, {{kData, kEventBytes}});
    f.driver.kick_if_wanted(f.rings[kStatus]);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.rings[kStatus]), (FakeDriver::Used{0, 0}));
}

TEST(VirtioInput, APressThatNoBufferTookArrivesInTheRestoredMachine) {
    Fixture before;
    before.start();
    EXPECT_TRUE(before.device->press_power());
    EXPECT_TRUE(before.events().empty());
    before.select(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY);

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.driver = before.driver;
    after.driver.move_to(after.machine);
    after.rings = before.rings;
    EXPECT_EQ(after.machine.pci.read(after.driver.device_config() + 2, 1), 15u) << "the selection";
    after.offer_event_buffers(0, 8);
    EXPECT_EQ(after.events(), kPress);
}

TEST(VirtioInput, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::input
