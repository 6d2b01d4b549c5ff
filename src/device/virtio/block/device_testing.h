// For tests: a driver of one block device in a fake machine, over a disk in memory.
#pragma once

#include <gtest/gtest.h>
#include <linux/virtio_blk.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "device/virtio/block/device.h"
#include "device/virtio/fake_driver.h"
#include "storage/memory_device.h"

namespace doppel::device::virtio::block {

inline constexpr unsigned kTestSlot = 1;
inline constexpr uint64_t kHeaderAt = kFakeRam + 0x40000;  // 16 bytes each
inline constexpr uint64_t kStatusAt = kFakeRam + 0x48000;  // a byte each
inline constexpr uint64_t kDataAt = kFakeRam + 0x50000;
inline constexpr uint64_t kTestSectors = 64;
inline constexpr uint8_t kNoStatus = 0xaa;

struct DiskFixture {
    struct Options {
        bool writable = true;
        bool late = false;  // requests end when `finish_one` is called
        DiskOptions disk = {};
        size_t bytes = kTestSectors * kSector;
    };
    DiskFixture() : DiskFixture(Options{}) {}
    explicit DiskFixture(const Options& options)
        : content{std::vector<uint8_t>(options.bytes)},
          storage(content, {.writable = options.writable, .late = options.late ? &late : nullptr}),
          driver(machine, kTestSlot) {
        for (size_t i = 0; i < content.bytes.size(); i++) content.bytes[i] = static_cast<uint8_t>(i / kSector + i);
        auto made = std::make_unique<DiskDevice>(storage, options.disk);
        device = made.get();
        machine.add(kTestSlot, std::move(made));
    }
    ~DiskFixture() {
        while (late.step()) {
        }
    }

    void start(uint64_t features = kIndirectFeature | kEventIndexFeature, uint16_t size = 64) {
        auto started = driver.start(features, size);
        ASSERT_TRUE(machine.mapped && started.has_value());
        ring = *started;
    }
    void start_with_all() {
        ASSERT_TRUE(driver.discover());
        start(driver.offered_features());
    }

    struct Part {
        uint64_t address;
        uint32_t length;
    };
    // Makes a request of three descriptors or more from `head` on; its status becomes kNoStatus.
    void submit(uint16_t head, uint32_t type, uint64_t sector, const std::vector<Part>& data) {
        const uint64_t header = kHeaderAt + uint64_t{16} * head;
        machine.put<uint32_t>(header, type);
        machine.put<uint32_t>(header + 4, 0);
        machine.put<uint64_t>(header + 8, sector);
        machine.put<uint8_t>(kStatusAt + head, kNoStatus);
        std::vector<FakeDriver::Descriptor> chain{{header, 16}};
        const bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
        for (const Part& part : data) chain.push_back({part.address, part.length, to_guest ? kWrite : uint16_t{0}});
        chain.push_back({kStatusAt + head, 1, kWrite});
        driver.submit(ring, head, chain);
    }
    std::optional<FakeDriver::Used> run() {
        driver.kick(ring);
        machine.settle();
        return driver.take(ring);
    }
    // One whole request; its status.
    uint8_t ask(uint32_t type, uint64_t sector, const std::vector<Part>& data) {
        submit(0, type, sector, data);
        const auto used = run();
        EXPECT_TRUE(used && used->head == 0) << "no answer";
        return status(0);
    }
    uint8_t status(uint16_t head) const { return machine.get<uint8_t>(kStatusAt + head); }
    bool finish_one() {
        const bool done = late.step();
        machine.settle();
        return done;
    }
    template <class T>
    T config(size_t offset) {
        return static_cast<T>(machine.pci.read(driver.device_config() + offset, sizeof(T)));
    }

    storage::LateCompletions late{1};
    storage::MemoryDisk content;
    storage::MemoryDevice storage;
    FakeMachine machine;
    FakeDriver driver;
    FakeDriver::Ring ring;
    DiskDevice* device;
};

}  // namespace doppel::device::virtio::block
