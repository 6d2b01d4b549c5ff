// A disk whose host has no room left.
#include <gtest/gtest.h>

#include "device/virtio/block/device.h"
#include "device/virtio/block/device_testing.h"

namespace doppel::device::virtio::block {
namespace {

struct FullDisk {
    explicit FullDisk(bool late = false) : f({.late = late, .disk = {.changed = [this] { changes++; }}}) {
        f.content.fault = [this](uint64_t, uint64_t, bool write) {
            return write && full ? storage::kNoSpace : storage::kOk;
        };
        f.start(f.driver.discover() ? f.driver.offered_features() : 0);
    }
    bool full = true;
    unsigned changes = 0;
    DiskFixture f;
};

TEST(VirtioBlockRoom, KeepsARequestUntilThereIsRoom) {
    FullDisk disk;
    DiskFixture& f = disk.f;
    for (uint64_t i = 0; i < 512; i++) f.machine.put<uint8_t>(kDataAt + i, 0x5a);
    f.submit(0, VIRTIO_BLK_T_OUT, 7, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    EXPECT_TRUE(f.device->stalled());
    EXPECT_GT(disk.changes, 0u);
    f.device->retry();
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
    EXPECT_TRUE(f.device->stalled());
    disk.full = false;
    f.device->retry();
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{0, 1}));
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_OK);
    EXPECT_FALSE(f.device->stalled());
    EXPECT_TRUE(f.device->idle());
    EXPECT_EQ(f.content.bytes[7 * 512], 0x5a);
}

TEST(VirtioBlockRoom, ServesReadsMeanwhile) {
    FullDisk disk;
    disk.f.submit(0, VIRTIO_BLK_T_OUT, 7, {{kDataAt, 512}});
    EXPECT_EQ(disk.f.run(), std::nullopt);
    disk.f.submit(4, VIRTIO_BLK_T_IN, 7, {{kDataAt, 512}});
    EXPECT_EQ(disk.f.run(), (FakeDriver::Used{4, 513}));
    EXPECT_TRUE(disk.f.device->stalled());
}

TEST(VirtioBlockRoom, IsStalledWhileARequestIsTriedAgain) {
    FullDisk disk(true);
    DiskFixture& f = disk.f;
    f.submit(0, VIRTIO_BLK_T_OUT, 7, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    while (f.finish_one()) {
    }
    disk.full = false;
    f.device->retry();
    EXPECT_TRUE(f.device->stalled());
    while (f.finish_one()) {
    }
    EXPECT_FALSE(f.device->stalled());
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_OK);
}

TEST(VirtioBlockRoom, ForgetsItByAReset) {
    FullDisk disk;
    DiskFixture& f = disk.f;
    f.submit(0, VIRTIO_BLK_T_OUT, 7, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    f.driver.set_status(0);
    EXPECT_EQ(f.driver.status(), 0);
    EXPECT_FALSE(f.device->stalled());
    EXPECT_TRUE(f.device->idle());
    f.device->retry();
    f.machine.settle();
    EXPECT_EQ(f.status(0), kNoStatus);
}

TEST(VirtioBlockRoom, FailsWhatFindsNoRoomOnceNobodyWaitsForIt) {
    FullDisk disk(true);
    DiskFixture& f = disk.f;
    f.submit(0, VIRTIO_BLK_T_OUT, 7, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    f.device->give_up();
    EXPECT_FALSE(f.device->idle());
    while (f.finish_one()) {
    }
    EXPECT_TRUE(f.device->idle());
    EXPECT_FALSE(f.device->stalled());
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_IOERR);
}

}  // namespace
}  // namespace doppel::device::virtio::block
