#include "device/virtio/block/device.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "device/virtio/block/device_testing.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::block {
namespace {

constexpr uint64_t kBit(unsigned bit) {
    return uint64_t{1} << bit;
}

bool is_disk_content(const DiskFixture& f, uint64_t address, uint64_t sector, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        if (f.machine.get<uint8_t>(address + i) != f.content.bytes[sector * kSector + i]) return false;
    return true;
}

TEST(VirtioBlock, TellsItsShape) {
    DiskFixture f({.disk = {.serial = "S", .queues = 4}});
    f.start_with_all();
    EXPECT_EQ(f.machine.pci.config(kTestSlot, PCI_VENDOR_ID, 4), 0x10421af4u);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 4u);
    EXPECT_EQ(f.config<uint64_t>(offsetof(virtio_blk_config, capacity)), kTestSectors);
    EXPECT_EQ(f.config<uint32_t>(offsetof(virtio_blk_config, blk_size)), 512u);
    EXPECT_EQ(f.config<uint8_t>(offsetof(virtio_blk_config, physical_block_exp)), 3u);
    EXPECT_EQ(f.config<uint16_t>(offsetof(virtio_blk_config, num_queues)), 4u);
    EXPECT_EQ(f.config<uint32_t>(offsetof(virtio_blk_config, seg_max)), 254u);
    EXPECT_EQ(f.config<uint32_t>(offsetof(virtio_blk_config, max_discard_seg)), kMaxRanges);
    EXPECT_NE(f.driver.offered_features() & kBit(VIRTIO_BLK_F_MQ), 0u);
}

TEST(VirtioBlock, LeavesOutWhatAReadOnlyDiskCannotDo) {
    DiskFixture f({.writable = false});
    f.start_with_all();
    const uint64_t features = f.driver.offered_features();
    EXPECT_NE(features & kBit(VIRTIO_BLK_F_RO), 0u);
    for (unsigned bit : {VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES})
        EXPECT_EQ(features & kBit(bit), 0u) << bit;
    const auto before = f.content.bytes;
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 1, {{kDataAt, 512}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(f.content.bytes, before);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_IN, 1, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
}

TEST(VirtioBlock, ReadsIntoAllPartsAndMarksTheirPagesDirty) {
    DiskFixture f;
    f.start();
    (void)f.machine.memory.collect_dirty();
    f.submit(0, VIRTIO_BLK_T_IN, 3, {{kDataAt + 100, 1000}, {kDataAt + 0x3000, 24}});
    const auto used = f.run();
    EXPECT_EQ(used, (FakeDriver::Used{0, 1025}));
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_OK);
    EXPECT_TRUE(is_disk_content(f, kDataAt + 100, 3, 1000));
    EXPECT_EQ(f.machine.get<uint8_t>(kDataAt + 0x3000 + 23), f.content.bytes[3 * 512 + 1023]);
    const auto dirty = f.machine.memory.collect_dirty();
    for (uint64_t page : {kDataAt, kDataAt + 0x3000}) EXPECT_TRUE(std::ranges::count(dirty, page) == 1) << page;
    EXPECT_TRUE(f.driver.interrupt());
}

TEST(VirtioBlock, WritesFromAllParts) {
    DiskFixture f;
    f.start();
    for (uint64_t i = 0; i < 1024; i++) f.machine.put<uint8_t>(kDataAt + i, static_cast<uint8_t>(255 - i));
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 62, {{kDataAt, 1}, {kDataAt + 1, 1000}, {kDataAt + 1001, 23}}), VIRTIO_BLK_S_OK);
    EXPECT_TRUE(is_disk_content(f, kDataAt, 62, 1024));
}

TEST(VirtioBlock, TakesHeaderDataAndStatusInAnyPieces) {
    DiskFixture f;
    f.start();
    f.machine.put<uint32_t>(kHeaderAt, VIRTIO_BLK_T_OUT);
    f.machine.put<uint64_t>(kHeaderAt + 8, 5);
    for (uint64_t i = 16; i < 16 + 512; i++) f.machine.put<uint8_t>(kHeaderAt + i, 0x77);
    // The header and the data in one part and another of a byte; the status behind bytes that nobody asked for.
    f.driver.submit(f.ring, 0, {{kHeaderAt, 3}, {kHeaderAt + 3, 13 + 512}, {kStatusAt, 3, kWrite}});
    EXPECT_TRUE(f.run().has_value());
    EXPECT_EQ(f.machine.get<uint8_t>(kStatusAt + 2), VIRTIO_BLK_S_OK);
    EXPECT_TRUE(std::all_of(&f.content.bytes[5 * 512], &f.content.bytes[6 * 512], [](uint8_t b) { return b == 0x77; }));
}

TEST(VirtioBlock, SaysItsSerial) {
    DiskFixture f({.disk = {.serial = "disk-7"}});
    f.start();
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_GET_ID, 0, {{kDataAt, 20}}), VIRTIO_BLK_S_OK);
    std::array<uint8_t, 20> text{};
    ASSERT_TRUE(f.machine.memory.read(kDataAt, text));
    EXPECT_EQ(std::string(text.begin(), text.end()), std::string("disk-7") + std::string(14, '\0'));
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_GET_ID, 0, {{kDataAt, 19}}), VIRTIO_BLK_S_IOERR);
}

TEST(VirtioBlock, RefusesWhatLiesBeyondTheDisk) {
    DiskFixture f;
    f.start();
    for (uint32_t type : {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT}) {
        EXPECT_EQ(f.ask(type, kTestSectors - 1, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
        EXPECT_EQ(f.ask(type, kTestSectors, {}), VIRTIO_BLK_S_OK) << "nothing is asked of it";
        for (uint64_t sector : {kTestSectors, kTestSectors + 1, ~uint64_t{0}, ~uint64_t{0} / 512, uint64_t{1} << 55})
            EXPECT_EQ(f.ask(type, sector, {{kDataAt, 512}}), VIRTIO_BLK_S_IOERR) << sector;
        EXPECT_EQ(f.ask(type, kTestSectors - 1, {{kDataAt, 1024}}), VIRTIO_BLK_S_IOERR);
        for (uint32_t length : {1u, 511u, 513u})
            EXPECT_EQ(f.ask(type, 0, {{kDataAt, length}}), VIRTIO_BLK_S_IOERR) << length;
    }
}

TEST(VirtioBlock, IgnoresSectorsBehindTheLastWholeOne) {
    DiskFixture f({.bytes = 1000});
    f.start();
    EXPECT_EQ(f.config<uint64_t>(offsetof(virtio_blk_config, capacity)), 1u);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_IN, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_IN, 1, {{kDataAt, 512}}), VIRTIO_BLK_S_IOERR);
}

TEST(VirtioBlock, SaysThatItDoesNotKnowARequest) {
    DiskFixture f;
    f.start();
    for (uint32_t type : {2u, 3u, 10u, 12u, 14u, ~0u}) EXPECT_EQ(f.ask(type, 0, {}), VIRTIO_BLK_S_UNSUPP) << type;
}

TEST(VirtioBlock, BreaksAQueueWithRequestsThatCannotBeAnswered) {
    for (const std::vector<FakeDriver::Descriptor>& chain :
         {std::vector<FakeDriver::Descriptor>{{kHeaderAt, 15}, {kStatusAt, 1, kWrite}},
          {{kHeaderAt, 16}},
          {{kStatusAt, 1, kWrite}},
          {{kHeaderAt, 16}, {kFakeRom, 1, kWrite}}}) {
        DiskFixture f;
        f.start();
        f.driver.submit(f.ring, 0, chain);
        EXPECT_EQ(f.run(), std::nullopt);
        EXPECT_NE(f.driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    }
}

void put_range(DiskFixture& f, unsigned index, uint64_t sector, uint32_t sectors, uint32_t flags) {
    const uint64_t at = kDataAt + uint64_t{16} * index;
    f.machine.put<uint64_t>(at, sector);
    f.machine.put<uint32_t>(at + 8, sectors);
    f.machine.put<uint32_t>(at + 12, flags);
}

TEST(VirtioBlock, DiscardsAndZeroesRanges) {
    DiskFixture f;
    f.start_with_all();
    const auto before = f.content.bytes;
    put_range(f, 0, 2, 3, 0);
    put_range(f, 1, 60, 4, 0);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {{kDataAt, 32}}), VIRTIO_BLK_S_OK);
    auto expected = before;
    std::fill_n(&expected[2 * 512], 3 * 512, uint8_t{0});
    std::fill_n(&expected[60 * 512], 4 * 512, uint8_t{0});
    EXPECT_EQ(f.content.bytes, expected);
    put_range(f, 0, 8, 8, 0);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_DISCARD, 0, {{kDataAt, 16}}), VIRTIO_BLK_S_OK);
    std::fill_n(&expected[8 * 512], 8 * 512, uint8_t{0});
    EXPECT_EQ(f.content.bytes, expected);
    put_range(f, 0, 1, 0, 0);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_DISCARD, 0, {{kDataAt, 16}}), VIRTIO_BLK_S_OK);
}

TEST(VirtioBlock, RefusesWrongRangesBeforeAnyIsCarriedOut) {
    DiskFixture f;
    f.start_with_all();
    const auto before = f.content.bytes;
    put_range(f, 0, 0, 8, 0);
    for (const auto& [sector, sectors, flags, status] : {std::tuple{uint64_t{64}, 1u, 0u, VIRTIO_BLK_S_IOERR},
                                                         {0, 65, 0, VIRTIO_BLK_S_IOERR},
                                                         {~uint64_t{0}, 2, 0, VIRTIO_BLK_S_IOERR},
                                                         {0, ~0u, 0, VIRTIO_BLK_S_IOERR},
                                                         {0, 1, 2, VIRTIO_BLK_S_UNSUPP}}) {
        put_range(f, 1, sector, sectors, flags);
        EXPECT_EQ(f.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {{kDataAt, 32}}), status) << sector << " " << sectors;
        EXPECT_EQ(f.ask(VIRTIO_BLK_T_DISCARD, 0, {{kDataAt, 32}}), status) << sector << " " << sectors;
    }
    put_range(f, 1, 0, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_DISCARD, 0, {{kDataAt, 32}}), VIRTIO_BLK_S_UNSUPP);
    for (uint32_t length : {0u, 8u, 24u, 16 * (kMaxRanges + 1)})
        EXPECT_EQ(f.ask(VIRTIO_BLK_T_DISCARD, 0, {{kDataAt, length}}), VIRTIO_BLK_S_IOERR) << length;
    EXPECT_EQ(f.content.bytes, before);
}

unsigned flushes(const DiskFixture& f) {
    return static_cast<unsigned>(std::ranges::count_if(
        f.content.log, [](const auto& change) { return change.kind == storage::MemoryDisk::Change::Kind::kFlush; }));
}

TEST(VirtioBlock, MakesEachWriteDurableForADriverThatCannotFlush) {
    DiskFixture f;
    f.content.recording = true;
    f.start(0);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(flushes(f), 1u);
    ASSERT_EQ(f.content.log.size(), 2u);
    EXPECT_EQ(f.content.log[1].kind, storage::MemoryDisk::Change::Kind::kFlush);
}

TEST(VirtioBlock, WritesBackOrThroughAsTheDriverSays) {
    DiskFixture f;
    f.content.recording = true;
    f.start_with_all();
    const uint64_t mode = f.driver.device_config() + offsetof(virtio_blk_config, wce);
    EXPECT_EQ(f.config<uint8_t>(offsetof(virtio_blk_config, wce)), 1u);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(flushes(f), 0u);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_FLUSH, 0, {}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(flushes(f), 1u);
    (void)f.machine.pci.write(mode, 1, 0);
    EXPECT_EQ(f.config<uint8_t>(offsetof(virtio_blk_config, wce)), 0u);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(flushes(f), 2u);
    put_range(f, 0, 0, 1, 0);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {{kDataAt, 16}}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(flushes(f), 3u);
}

TEST(VirtioBlock, PassesErrorsOfTheDiskOn) {
    DiskFixture f;
    f.start_with_all();
    f.content.fault = [](uint64_t, uint64_t, bool) { return storage::kIoError; };
    f.submit(0, VIRTIO_BLK_T_IN, 0, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_FLUSH, 0, {}), VIRTIO_BLK_S_IOERR);
    f.content.fault = [](uint64_t, uint64_t, bool) { return storage::kNotSupported; };
    EXPECT_EQ(f.ask(VIRTIO_BLK_T_OUT, 0, {{kDataAt, 512}}), VIRTIO_BLK_S_UNSUPP);
}

TEST(VirtioBlock, EndsRequestsInTheOrderOfTheDisk) {
    DiskFixture f({.late = true});
    f.start();
    for (uint16_t i = 0; i < 8; i++)
        f.submit(static_cast<uint16_t>(3 * i), VIRTIO_BLK_T_IN, i, {{kDataAt + 512 * i, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    EXPECT_FALSE(f.device->idle());
    std::vector<uint16_t> order;
    while (f.finish_one()) {
        while (const auto used = f.driver.take(f.ring)) order.push_back(used->head);
    }
    EXPECT_TRUE(f.device->idle());
    EXPECT_FALSE(std::ranges::is_sorted(order));
    std::ranges::sort(order);
    EXPECT_EQ(order, (std::vector<uint16_t>{0, 3, 6, 9, 12, 15, 18, 21}));
    for (uint16_t i = 0; i < 8; i++) EXPECT_TRUE(is_disk_content(f, kDataAt + 512 * i, i, 512)) << i;
}

TEST(VirtioBlock, HasQueuesOfTheirOwn) {
    DiskFixture f({.late = true, .disk = {.queues = 3}});
    ASSERT_TRUE(f.driver.discover() && f.driver.negotiate(f.driver.offered_features()));
    std::vector<FakeDriver::Ring> rings;
    for (uint16_t i = 0; i < 3; i++) rings.push_back(f.driver.set_up_queue(i, 16, kFakeRam + 0x100000 * (i + 1)));
    f.driver.ready();
    for (uint16_t i = 0; i < 3; i++) {
        f.ring = rings[i];
        f.submit(static_cast<uint16_t>(4 * i), VIRTIO_BLK_T_IN, i, {{kDataAt + 512 * i, 512}});
        EXPECT_EQ(f.run(), std::nullopt);
        rings[i] = f.ring;
    }
    while (f.finish_one()) {
    }
    for (uint16_t i = 0; i < 3; i++) {
        EXPECT_EQ(f.driver.take(rings[i]), (FakeDriver::Used{static_cast<uint16_t>(4 * i), 513}));
        EXPECT_TRUE(is_disk_content(f, kDataAt + 512 * i, i, 512));
    }
}

TEST(VirtioBlock, KeepsTheDriverWaitingForItsResetWhileMemoryIsInUse) {
    DiskFixture f({.late = true});
    f.start();
    f.submit(0, VIRTIO_BLK_T_IN, 0, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    f.driver.set_status(0);
    EXPECT_NE(f.driver.status(), 0);
    EXPECT_TRUE(f.finish_one());
    EXPECT_EQ(f.driver.status(), 0);
    EXPECT_EQ(f.status(0), kNoStatus) << "an answer to a driver that has forgotten the question";
    f.start();
    f.submit(0, VIRTIO_BLK_T_IN, 2, {{kDataAt, 512}});
    EXPECT_EQ(f.run(), std::nullopt);
    EXPECT_TRUE(f.finish_one());
    EXPECT_EQ(f.status(0), VIRTIO_BLK_S_OK);
    EXPECT_TRUE(is_disk_content(f, kDataAt, 2, 512));
}

TEST(VirtioBlock, AnswersInARestoredMachineWhatWasAskedBefore) {
    DiskFixture before({.late = true});
    before.start();
    before.submit(4, VIRTIO_BLK_T_IN, 1, {{kDataAt, 512}});
    EXPECT_EQ(before.run(), std::nullopt);

    DiskFixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.machine.settle();
    EXPECT_EQ(after.driver.take(before.ring), (FakeDriver::Used{4, 513}));
    EXPECT_TRUE(is_disk_content(after, kDataAt, 1, 512));
}

TEST(VirtioBlock, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    DiskFixture f({.disk = {.queues = 8}});
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::block
