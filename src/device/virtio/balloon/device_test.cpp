#include "device/virtio/balloon/device.h"

#include <gtest/gtest.h>
#include <linux/virtio_balloon.h>

#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::balloon {
namespace {

constexpr unsigned kSlot = 1;
constexpr uint64_t kPage = memory::kPageSize;
constexpr uint64_t kData = kFakeRam + 0x200000;  // of the driver: numbers, statistics
constexpr uint64_t kFree = kFakeRam + 0x300000;  // pages to hand over
constexpr uint64_t kAllFeatures = 1 << VIRTIO_BALLOON_F_STATS_VQ | 1 << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
                                  1 << VIRTIO_BALLOON_F_PAGE_POISON | 1 << VIRTIO_BALLOON_F_REPORTING;
constexpr uint16_t kInflate = 0, kDeflate = 1, kStatistics = 2, kReports = 4;

struct Fixture {
    Fixture() : driver(machine, kSlot) {
        auto made = std::make_unique<BalloonDevice>(machine.memory);
        device = made.get();
        machine.add(kSlot, std::move(made));
    }
    void start(uint64_t features = kAllFeatures) {
        ASSERT_TRUE(machine.mapped && driver.discover() &&
                    driver.negotiate(features | kVersion1Feature | kEventIndexFeature));
        ASSERT_TRUE(machine.memory.fill(kFakeRam, rings.size() * 0x30000, 0));
        for (uint16_t i = 0; i < rings.size(); i++) {
            rings[i] = driver.set_up_queue(i, 8, kFakeRam + i * 0x30000);
        }
        driver.ready();
    }
    std::optional<FakeDriver::Used> ask(uint16_t queue, const std::vector<FakeDriver::Descriptor>& chain) {
        driver.submit(rings[queue], 0, chain);
        driver.kick_if_wanted(rings[queue]);
        machine.settle();
        return driver.take(rings[queue]);
    }
    void number(unsigned index, uint64_t address) {
        machine.put<uint32_t>(kData + index * 4, static_cast<uint32_t>(address / kPage));
    }
    uint32_t config(unsigned offset) {
        return static_cast<uint32_t>(machine.pci.read(driver.device_config() + offset, 4));
    }
    void set_config(unsigned offset, uint32_t value) {
        ASSERT_TRUE(machine.pci.write(driver.device_config() + offset, 4, value));
    }
    void fill(unsigned pages) { ASSERT_TRUE(machine.memory.fill(kFree, pages * kPage, 7)); }
    std::vector<uint8_t> first_bytes(unsigned pages) {
        std::vector<uint8_t> bytes;
        for (unsigned i = 0; i < pages; i++) bytes.push_back(machine.get<uint8_t>(kFree + i * kPage));
        return bytes;
    }

    FakeMachine machine;
    FakeDriver driver;
    BalloonDevice* device = nullptr;
    std::array<FakeDriver::Ring, 5> rings;
};

constexpr unsigned kTarget = offsetof(virtio_balloon_config, num_pages);
constexpr unsigned kActual = offsetof(virtio_balloon_config, actual);
constexpr unsigned kPoison = offsetof(virtio_balloon_config, poison_val);

TEST(VirtioBalloon, OffersStatisticsReportsAndDeflationWhenMemoryRunsOut) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_DEVICE_ID, 2), 0x1045u);
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 5u);
    EXPECT_EQ(f.driver.offered_features() & 0xffffff, kAllFeatures);
}

TEST(VirtioBalloon, TellsTheDriverItsTargetAndLearnsWhatTheDriverReached) {
    Fixture f;
    f.start();
    f.device->set_target(5 * kPage + 100);
    EXPECT_TRUE(f.driver.interrupt());
    EXPECT_EQ(f.config(kTarget), 5u);
    f.set_config(kActual, 3);
    EXPECT_EQ(f.device->actual(), 3 * kPage);
    EXPECT_EQ(f.config(kActual), 3u);
    f.set_config(kTarget, 9);
    EXPECT_EQ(f.device->target(), 5 * kPage) << "the host's to set";
}

TEST(VirtioBalloon, PagesInTheBalloonGoBackToTheHost) {
    Fixture f;
    f.start();
    for (unsigned i = 0; unsigned page : {4u, 1u, 2u, 2u}) f.number(i++, kFree + page * kPage);
    EXPECT_EQ(f.ask(kInflate, {{kData, 16}}), (FakeDriver::Used{0, 0})) << "now the rings have their memory";
    f.fill(6);
    const uint64_t before = f.machine.memory.resident_bytes();
    EXPECT_EQ(f.ask(kInflate, {{kData, 16}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.machine.memory.resident_bytes(), before - 3 * kPage);
    EXPECT_EQ(f.first_bytes(6), (std::vector<uint8_t>{7, 0, 0, 7, 0, 7}));
    EXPECT_EQ(f.ask(kDeflate, {{kData, 16}}), (FakeDriver::Used{0, 0}));
}

TEST(VirtioBalloon, WildPageNumbersAndLengthsDoNothing) {
    Fixture f;
    f.start();
    f.fill(1);
    for (unsigned i = 0; uint64_t address : {uint64_t{0xffffffff} * kPage, kFakeRam + kFakeRamSize, uint64_t{0},
                                             kFakeRom, kFakeRam - kPage}) {
        f.number(i++, address);
    }
    EXPECT_EQ(f.ask(kInflate, {{kData, 20}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.ask(kInflate, {{kData, 3}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.ask(kInflate, {{kData, 20, kWrite}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{7});
    EXPECT_EQ(f.driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

TEST(VirtioBalloon, TakesNoMoreNumbersOfOneBufferThanItsBound) {
    Fixture f;
    f.start();
    f.fill(1);
    constexpr uint32_t kNumbers = BalloonDevice::kMaxPages + 1;
    for (unsigned i = 0; i < kNumbers; i++) f.number(i, kFakeRom);
    f.number(kNumbers - 1, kFree);
    EXPECT_EQ(f.ask(kInflate, {{kData, 4 * kNumbers}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{7});
}

TEST(VirtioBalloon, ReportedFreeMemoryGoesBackInWholePages) {
    Fixture f;
    f.start();
    f.fill(8);
    EXPECT_EQ(f.ask(kReports, {{kFree + kPage, 2 * kPage, kWrite}, {kFree + 4 * kPage + 1, 3 * kPage - 2, kWrite}}),
              (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.first_bytes(8), (std::vector<uint8_t>{7, 0, 0, 7, 7, 0, 7, 7}));
    EXPECT_EQ(f.ask(kReports, {{kFree, kPage}}), (FakeDriver::Used{0, 0})) << "nothing to write to";
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{7});
}

TEST(VirtioBalloon, TakesReportsOnTheQueueThatADriverCountsWithoutGaps) {
    Fixture f;
    f.start(kAllFeatures);
    f.fill(1);
    EXPECT_EQ(f.ask(3, {{kFree, kPage, kWrite}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{0});

    Fixture g;
    g.start(1 << VIRTIO_BALLOON_F_REPORTING);
    g.fill(1);
    EXPECT_EQ(g.ask(2, {{kFree, kPage, kWrite}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(g.first_bytes(1), std::vector<uint8_t>{0});
}

TEST(VirtioBalloon, KeepsReportedPagesThatTheDriverHasFilledWithAPattern) {
    Fixture f;
    f.start();
    f.fill(1);
    f.set_config(kPoison, 0x07070707);
    EXPECT_EQ(f.config(kPoison), 0x07070707u);
    EXPECT_EQ(f.ask(kReports, {{kFree, kPage, kWrite}}), (FakeDriver::Used{0, 0}));
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{7});
}

TEST(VirtioBalloon, DoesNothingWithReportsThatWereNotNegotiated) {
    Fixture f;
    f.start(0);
    f.fill(1);
    EXPECT_EQ(f.ask(kReports, {{kFree, kPage, kWrite}}), std::nullopt);
    EXPECT_EQ(f.first_bytes(1), std::vector<uint8_t>{7});
}

void put_statistic(Fixture& f, unsigned index, uint16_t tag, uint64_t value) {
    f.machine.put<uint16_t>(kData + index * 10, tag);
    f.machine.put<uint64_t>(kData + index * 10 + 2, value);
}

TEST(VirtioBalloon, AsksForStatisticsByGivingTheBufferBack) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.ask(kStatistics, {{kData, 30}}), std::nullopt) << "the device keeps it";
    std::vector<Statistics> told;
    f.device->request_statistics([&](const Statistics& statistics) { told.push_back(statistics); });
    EXPECT_EQ(f.driver.take(f.rings[kStatistics]), (FakeDriver::Used{0, 0}));
    put_statistic(f, 0, VIRTIO_BALLOON_S_MEMFREE, 1000);
    put_statistic(f, 1, 99, 5);
    put_statistic(f, 2, VIRTIO_BALLOON_S_MEMTOT, 2000);
    EXPECT_EQ(f.ask(kStatistics, {{kData, 30}}), std::nullopt);
    ASSERT_EQ(told.size(), 1u);
    Statistics expected;
    expected.values[VIRTIO_BALLOON_S_MEMFREE] = 1000;
    expected.values[VIRTIO_BALLOON_S_MEMTOT] = 2000;
    EXPECT_EQ(told[0], expected);
}

TEST(VirtioBalloon, AResetForgetsTheBufferAndWhatTheGuestSaidButNotTheTarget) {
    Fixture f;
    f.start();
    f.device->set_target(4 * kPage);
    f.set_config(kActual, 3);
    EXPECT_EQ(f.ask(kStatistics, {{kData, 10}}), std::nullopt);
    f.driver.set_status(0);
    int told = 0;
    f.device->request_statistics([&](const Statistics&) { told++; });
    f.start();
    EXPECT_EQ(f.config(kTarget), 4u);
    EXPECT_EQ(f.config(kActual), 0u);
    EXPECT_EQ(f.ask(kStatistics, {{kData, 10}}), std::nullopt);
    EXPECT_EQ(told, 1) << "the first statistics of the new driver answer";
}

TEST(VirtioBalloon, GoesOnInARestoredMachine) {
    Fixture before;
    before.start();
    before.device->set_target(7 * kPage);
    before.set_config(kActual, 2);
    put_statistic(before, 0, VIRTIO_BALLOON_S_MEMFREE, 1000);
    EXPECT_EQ(before.ask(kStatistics, {{kData, 10}}), std::nullopt);

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.machine.settle();
    EXPECT_EQ(after.device->target(), 7 * kPage);
    EXPECT_EQ(after.device->actual(), 2 * kPage);
    after.device->request_statistics([](const Statistics&) {});
    EXPECT_EQ(before.driver.take(before.rings[kStatistics]), std::nullopt);
    before.driver.move_to(after.machine);
    EXPECT_EQ(before.driver.take(before.rings[kStatistics]), (FakeDriver::Used{0, 0})) << "it had the buffer still";
}

TEST(VirtioBalloon, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::balloon
