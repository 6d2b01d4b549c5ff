#include "device/virtio/rng/device.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::rng {
namespace {

constexpr unsigned kSlot = 1;
constexpr uint64_t kData = kFakeRam + 0x40000;

struct Fixture {
    explicit Fixture(EntropySource source = host_entropy) : driver(machine, kSlot) {
        machine.add(kSlot, std::make_unique<RngDevice>(std::move(source)));
    }
    void start(uint64_t features = 0) {
        auto started = driver.start(features, 8);
        ASSERT_TRUE(machine.mapped && started.has_value());
        ring = *started;
    }
    std::optional<FakeDriver::Used> ask(uint16_t head, const std::vector<FakeDriver::Descriptor>& chain) {
        driver.submit(ring, head, chain);
        driver.kick(ring);
        machine.settle();
        return driver.take(ring);
    }

    FakeMachine machine;
    FakeDriver driver;
    FakeDriver::Ring ring;
};

bool count_up(std::span<uint8_t> to) {
    for (size_t i = 0; i < to.size(); i++) to[i] = static_cast<uint8_t>(i + 1);
    return true;
}

TEST(VirtioRng, IsAnEntropyDeviceWithOneQueueAndNoConfiguration) {
    Fixture f;
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_VENDOR_ID, 4), 0x10441af4u);
    f.start();
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 1u);
    EXPECT_EQ(f.driver.device_config(), 0u);
}

TEST(VirtioRng, FillsBuffersAndInterrupts) {
    Fixture f(count_up);
    f.start(kIndirectFeature | kEventIndexFeature);
    EXPECT_EQ(f.ask(0, {{kData, 3, kWrite}, {kData + 0x100, 5, kWrite}}), (FakeDriver::Used{0, 8}));
    EXPECT_EQ(f.machine.get<uint32_t>(kData), 0x030201u);
    EXPECT_EQ(f.machine.get<uint64_t>(kData + 0x100), 0x0807060504u);
    EXPECT_TRUE(f.driver.interrupt());
}

TEST(VirtioRng, GivesEntropyOfTheHost) {
    Fixture f;
    f.start();
    std::array<uint8_t, 64> first{}, second{};
    EXPECT_EQ(f.ask(0, {{kData, 64, kWrite}}), (FakeDriver::Used{0, 64}));
    ASSERT_TRUE(f.machine.memory.read(kData, first));
    EXPECT_EQ(f.ask(0, {{kData, 64, kWrite}}), (FakeDriver::Used{0, 64}));
    ASSERT_TRUE(f.machine.memory.read(kData, second));
    EXPECT_NE(first, (std::array<uint8_t, 64>{}));
    EXPECT_NE(first, second);
}

TEST(VirtioRng, BoundsARequest) {
    Fixture f(count_up);
    f.start();
    constexpr uint32_t kLarge = 1 << 20;
    EXPECT_EQ(f.ask(0, {{kData, kLarge, kWrite}}), (FakeDriver::Used{0, RngDevice::kMaxRequest}));
    EXPECT_EQ(f.machine.get<uint8_t>(kData + RngDevice::kMaxRequest), 0);
    EXPECT_NE(f.machine.get<uint16_t>(kData + RngDevice::kMaxRequest - 2), 0);
}

TEST(VirtioRng, GivesNothingToBuffersWithoutRoom) {
    Fixture f(count_up);
    f.start();
    EXPECT_EQ(f.ask(0, {{kData, 64}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.machine.get<uint64_t>(kData), 0u);
}

TEST(VirtioRng, AsksForAResetWhenEntropyFails) {
    Fixture f([](std::span<uint8_t>) { return false; });
    f.start();
    EXPECT_EQ(f.ask(0, {{kData, 64, kWrite}}), std::nullopt);
    EXPECT_NE(f.driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

TEST(VirtioRng, AnswersInARestoredMachineWhatWasAskedBefore) {
    Fixture before(count_up);
    before.start();
    before.driver.submit(before.ring, 2, {{kData, 4, kWrite}});
    before.driver.kick(before.ring);

    Fixture after(count_up);
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.machine.settle();
    EXPECT_EQ(after.driver.take(before.ring), (FakeDriver::Used{2, 4}));
    EXPECT_EQ(after.machine.get<uint32_t>(kData), 0x04030201u);
}

TEST(VirtioRng, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::rng
