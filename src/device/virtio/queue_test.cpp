#include "device/virtio/queue.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "device/virtio/fake_driver.h"

namespace doppel::device::virtio {
namespace {

constexpr uint64_t kData = kFakeRam + 0x40000;
constexpr uint64_t kTable = kFakeRam + 0x80000;

// A queue of eight over memory, and the driver's side of it without any transport.
struct Fixture {
    explicit Fixture(uint64_t features = 0, uint16_t size = 8) : queue(machine.memory, size), driver(machine, 1) {
        ring = {.size = size, .descriptors = kFakeRam, .available = kFakeRam + 0x10000, .used = kFakeRam + 0x20000};
        start(queue, features);
    }
    void start(Queue& each, uint64_t features) const {
        each.set_rings({ring.size, ring.descriptors, ring.available, ring.used});
        each.enable();
        each.start((features & kIndirectFeature) != 0, (features & kEventIndexFeature) != 0);
    }
    bool breaks() { return !queue.pop().has_value() && queue.broken(); }
    void set_used_event(uint16_t value) { machine.put<uint16_t>(ring.available + 4 + 2 * ring.size, value); }
    uint16_t available_event() { return machine.get<uint16_t>(ring.used + 4 + 8 * ring.size); }

    FakeMachine machine;
    Queue queue;
    FakeDriver driver;
    FakeDriver::Ring ring;
};

TEST(Queue, YieldsNothingWhenTheRingIsEmpty) {
    Fixture f;
    EXPECT_FALSE(f.queue.pop().has_value());
    EXPECT_FALSE(f.queue.broken());
}

TEST(Queue, YieldsAWholeChainWithItsParts) {
    Fixture f;
    f.driver.submit(f.ring, 2, {{kData, 10}, {kData + 100, 0}, {kData + 200, 20}, {kData + 300, 30, kWrite}});
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    EXPECT_EQ(chain->head(), 2);
    EXPECT_EQ(chain->readable().size(), 2u);
    EXPECT_EQ(chain->readable_bytes(), 30u);
    EXPECT_EQ(chain->writable().size(), 1u);
    EXPECT_EQ(chain->writable_bytes(), 30u);
}

TEST(Queue, CopiesAcrossPartsAndNeverBeyondThem) {
    Fixture f;
    f.driver.submit(f.ring, 0, {{kData, 3}, {kData + 100, 5}, {kData + 200, 4, kWrite}, {kData + 300, 4, kWrite}});
    for (uint8_t i = 0; i < 8; i++) f.machine.put<uint8_t>(i < 3 ? kData + i : kData + 97 + i, i);
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    std::array<uint8_t, 6> bytes;
    ASSERT_TRUE(chain->read(1, bytes));
    EXPECT_EQ(bytes, (std::array<uint8_t, 6>{1, 2, 3, 4, 5, 6}));
    EXPECT_TRUE(chain->read(8, std::span(bytes).first(0)));
    EXPECT_FALSE(chain->read(3, bytes));
    EXPECT_FALSE(chain->read(~uint64_t{0}, bytes));
    ASSERT_TRUE(chain->write(2, bytes));
    EXPECT_EQ(f.machine.get<uint16_t>(kData + 202), 0x0201);
    EXPECT_EQ(f.machine.get<uint32_t>(kData + 300), 0x06050403u);
    EXPECT_FALSE(chain->write(3, bytes));
}

TEST(Queue, FindsPartsInTheHostsMemory) {
    Fixture f;
    f.driver.submit(f.ring, 0,
                    {{kData, 3}, {kData + 100, 5}, {kData + 0x2000, 4, kWrite}, {kData + 0x5000, 4, kWrite}});
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    std::vector<iovec> parts;
    ASSERT_TRUE(chain->find_readable(2, 4, parts));
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_EQ(parts[0].iov_len, 1u);
    EXPECT_EQ(parts[1].iov_len, 3u);
    const uint8_t* host = f.machine.memory.find(kData, 1)->host + (kData - kFakeRam);
    EXPECT_EQ(parts[0].iov_base, host + 2);
    EXPECT_EQ(parts[1].iov_base, host + 100);
    EXPECT_FALSE(chain->find_readable(2, 7, parts));
    EXPECT_FALSE(chain->find_writable(9, 0, parts));
    EXPECT_EQ(parts.size(), 2u);
    (void)f.machine.memory.collect_dirty();
    ASSERT_TRUE(chain->find_writable(3, 2, parts));
    EXPECT_TRUE(f.machine.memory.collect_dirty().empty());
    f.queue.reset();
    EXPECT_FALSE(chain->find_writable(3, 2, parts));
    chain->mark_written(3, 2);
    EXPECT_EQ(f.machine.memory.collect_dirty(), (std::vector<uint64_t>{kData + 0x2000, kData + 0x5000}));
    chain->mark_written(3, 6);
    EXPECT_TRUE(f.machine.memory.collect_dirty().empty());
}

TEST(Queue, PublishesUsedElementsInOrder) {
    Fixture f;
    f.driver.submit(f.ring, 4, {{kData, 10, kWrite}});
    f.driver.submit(f.ring, 1, {{kData, 10, kWrite}});
    auto first = f.queue.pop();
    auto second = f.queue.pop();
    ASSERT_TRUE(first && second);
    f.queue.push(std::move(*second), 7);
    f.queue.push(std::move(*first), 1000);
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{1, 7}));
    EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{4, 10}));
    EXPECT_EQ(f.driver.take(f.ring), std::nullopt);
}

TEST(Queue, GoesOnWhenTheIndicesWrapAt65536) {
    for (uint64_t features : {uint64_t{0}, kEventIndexFeature}) {
        Fixture f(features);
        for (uint32_t i = 0; i < 70000; i++) {
            auto head = static_cast<uint16_t>(i % 8);
            f.driver.submit(f.ring, head, {{kData, 1, kWrite}});
            f.set_used_event(static_cast<uint16_t>(i));
            auto chain = f.queue.pop();
            ASSERT_TRUE(chain.has_value()) << i;
            f.queue.push(std::move(*chain), 1);
            ASSERT_TRUE(f.queue.take_notification()) << i;
            ASSERT_FALSE(f.queue.resume_notifications()) << i;
            ASSERT_EQ(f.driver.take(f.ring), (FakeDriver::Used{head, 1})) << i;
        }
    }
}

TEST(Queue, TakesADescriptorTableAfterPlainDescriptors) {
    Fixture f(kIndirectFeature);
    f.driver.describe(kTable, 0, {kData + 10, 4, kNext, 2});
    f.driver.describe(kTable, 2, {kData + 20, 8, kWrite});
    f.driver.submit(f.ring, 0, {{kData, 2}, {kTable, 48, kIndirect | kWrite}});
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    EXPECT_EQ(chain->readable_bytes(), 6u);
    EXPECT_EQ(chain->writable_bytes(), 8u);
}

TEST(Queue, TakesTablesThatAreLongerThanTheQueue) {
    Fixture f(kIndirectFeature);
    for (uint16_t i = 0; i < Queue::kMaxIndirect; i++) {
        bool last = i + 1 == Queue::kMaxIndirect;
        f.driver.describe(kTable, i, {kData, 1, last ? uint16_t{0} : kNext, static_cast<uint16_t>(i + 1)});
    }
    f.driver.submit(f.ring, 0, {{kTable, Queue::kMaxIndirect * 16, kIndirect}});
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    EXPECT_EQ(chain->readable_bytes(), Queue::kMaxIndirect);
}

struct Hostile {
    std::string name;
    std::vector<FakeDriver::Descriptor> chain;  // from descriptor 0 on, linked by their own fields
    std::vector<FakeDriver::Descriptor> table;  // at kTable
    uint64_t features = kIndirectFeature;
};

const std::vector<Hostile>& hostile_chains() {
    constexpr uint64_t kEnd = kFakeRam + kFakeRamSize;
    static const std::vector<Hostile> chains = {
        {"loop", {{kData, 1, kNext, 1}, {kData, 1, kNext, 0}}, {}},
        {"itself", {{kData, 1, kNext, 0}}, {}},
        {"wild next", {{kData, 1, kNext, 8}}, {}},
        {"outside memory", {{0x10, 1}}, {}},
        {"across the end", {{kEnd - 4, 5}}, {}},
        {"wrapping address", {{~uint64_t{0} - 1, 4}}, {}},
        {"huge", {{kData, 0xffffffff}}, {}},
        {"writes ROM", {{kFakeRom, 4, kWrite}}, {}},
        {"readable after writable", {{kData, 1, kWrite | kNext, 1}, {kData, 1}}, {}},
        {"table not negotiated", {{kTable, 16, kIndirect}}, {{kData, 1}}, 0},
        {"table in table", {{kTable, 32, kIndirect}}, {{kTable, 16, kIndirect}, {kData, 1}}},
        {"table with next", {{kTable, 16, kIndirect | kNext, 1}, {kData, 1}}, {{kData, 1}}},
        {"empty table", {{kTable, 0, kIndirect}}, {}},
        {"uneven table", {{kTable, 17, kIndirect}}, {{kData, 1}}},
        {"table too long", {{kTable, (Queue::kMaxIndirect + 1) * 16, kIndirect}}, {{kData, 1}}},
        {"table outside memory", {{kEnd - 16, 32, kIndirect}}, {}},
        {"loop in table", {{kTable, 32, kIndirect}}, {{kData, 1, kNext, 1}, {kData, 1, kNext, 0}}},
        {"wild next in table", {{kTable, 16, kIndirect}}, {{kData, 1, kNext, 1}}},
    };
    return chains;
}

TEST(Queue, BreaksOnHostileChainsAndRecoversByReset) {
    for (const Hostile& hostile : hostile_chains()) {
        Fixture f(hostile.features);
        for (uint16_t i = 0; i < hostile.chain.size(); i++) f.driver.describe(f.ring.descriptors, i, hostile.chain[i]);
        for (uint16_t i = 0; i < hostile.table.size(); i++) f.driver.describe(kTable, i, hostile.table[i]);
        f.driver.offer(f.ring, 0);
        EXPECT_TRUE(f.breaks()) << hostile.name;
        EXPECT_FALSE(f.queue.pop().has_value()) << hostile.name;
        f.queue.reset();
        EXPECT_FALSE(f.queue.broken()) << hostile.name;
    }
}

TEST(Queue, BreaksWhenSizesAddUpToMoreThan4GiB) {
    FakeMachine machine;
    ASSERT_TRUE(machine.memory.add_region(uint64_t{1} << 32, uint64_t{3} << 30).has_value());
    Queue queue(machine.memory, 8);
    FakeDriver driver(machine, 1);
    FakeDriver::Ring ring{
        .size = 8, .descriptors = kFakeRam, .available = kFakeRam + 0x10000, .used = kFakeRam + 0x20000};
    queue.set_rings({ring.size, ring.descriptors, ring.available, ring.used});
    queue.enable();
    queue.start(false, false);
    driver.submit(ring, 0, {{uint64_t{1} << 32, 0x80000000}, {uint64_t{1} << 32, 0x80000000, kWrite}});
    EXPECT_FALSE(queue.pop().has_value());
    EXPECT_TRUE(queue.broken());
}

TEST(Queue, BreaksOnHeadsOutsideTheTableOrInUse) {
    Fixture wild;
    wild.driver.offer(wild.ring, 8);
    EXPECT_TRUE(wild.breaks());

    Fixture twice;
    twice.driver.submit(twice.ring, 3, {{kData, 1}});
    twice.driver.offer(twice.ring, 3);
    EXPECT_TRUE(twice.queue.pop().has_value());
    EXPECT_TRUE(twice.breaks());
}

TEST(Queue, BreaksWhenMoreIsAvailableThanFits) {
    Fixture f;
    f.machine.put<uint16_t>(f.ring.available + 2, 9);
    EXPECT_TRUE(f.breaks());
}

TEST(Queue, BreaksOnRingsThatAreMisalignedOrNotInWritableMemory) {
    constexpr uint64_t kA = kFakeRam, kB = kFakeRam + 0x1000, kC = kFakeRam + 0x2000;
    const std::vector<Queue::Rings> all = {{8, kA + 8, kB, kC},  {8, kA, kB + 1, kC}, {8, kA, kB, kC + 2},
                                           {8, 0, kB, kC},       {8, kA, 0, kC},      {8, kA, kB, 0},
                                           {8, kA, kB, kFakeRom}};
    for (const Queue::Rings& rings : all) {
        FakeMachine machine;
        Queue queue(machine.memory, 8);
        queue.set_rings(rings);
        queue.enable();
        queue.start(false, false);
        EXPECT_TRUE(queue.broken());
    }
}

TEST(Queue, KeepsItsSizeWhenAWildOneIsSet) {
    FakeMachine machine;
    Queue queue(machine.memory, 8);
    for (uint16_t size : {0, 3, 16, 0x8000}) {
        queue.set_rings({size, 0, 0, 0});
        EXPECT_EQ(queue.rings().size, 8);
    }
    queue.set_rings({4, 0, 0, 0});
    EXPECT_EQ(queue.rings().size, 4);
}

TEST(Queue, HonoursTheDriversInterruptFlag) {
    Fixture f;
    f.driver.submit(f.ring, 0, {{kData, 1, kWrite}});
    EXPECT_FALSE(f.queue.take_notification());
    f.machine.put<uint16_t>(f.ring.available, 1);
    f.queue.push(*f.queue.pop(), 1);
    EXPECT_FALSE(f.queue.take_notification());
    f.machine.put<uint16_t>(f.ring.available, 0);
    EXPECT_FALSE(f.queue.take_notification());
    f.driver.submit(f.ring, 0, {{kData, 1, kWrite}});
    f.queue.push(*f.queue.pop(), 1);
    EXPECT_TRUE(f.queue.take_notification());
    EXPECT_FALSE(f.queue.take_notification());
}

TEST(Queue, NotifiesOnceTheEventIndexIsPassed) {
    Fixture f(kEventIndexFeature);
    f.set_used_event(2);  // tell me when the third is used
    for (uint16_t i = 0; i < 5; i++) {
        f.driver.submit(f.ring, i, {{kData, 1, kWrite}});
        f.queue.push(*f.queue.pop(), 1);
        EXPECT_EQ(f.queue.take_notification(), i == 2);
    }
    f.set_used_event(6);
    for (uint16_t i = 5; i < 8; i++) {
        f.driver.submit(f.ring, i, {{kData, 1, kWrite}});
        f.queue.push(*f.queue.pop(), 1);
    }
    EXPECT_TRUE(f.queue.take_notification());
}

TEST(Queue, SuppressesNotificationsAndSeesWhatCameMeanwhile) {
    Fixture flags;
    flags.queue.suppress_notifications();
    EXPECT_EQ(flags.machine.get<uint16_t>(flags.ring.used), 1);
    EXPECT_FALSE(flags.queue.resume_notifications());
    EXPECT_EQ(flags.machine.get<uint16_t>(flags.ring.used), 0);
    flags.driver.submit(flags.ring, 0, {{kData, 1}});
    EXPECT_TRUE(flags.queue.resume_notifications());

    Fixture event(kEventIndexFeature);
    event.driver.submit(event.ring, 0, {{kData, 1}});
    ASSERT_TRUE(event.queue.pop().has_value());
    event.queue.suppress_notifications();
    EXPECT_EQ(event.available_event(), 0);
    EXPECT_FALSE(event.queue.resume_notifications());
    EXPECT_EQ(event.available_event(), 1);
}

TEST(Queue, MakesChainsStaleOnReset) {
    Fixture f;
    f.driver.submit(f.ring, 0, {{kData, 4}, {kData + 8, 4, kWrite}});
    auto chain = f.queue.pop();
    ASSERT_TRUE(chain.has_value());
    f.queue.reset();
    f.start(f.queue, 0);
    std::array<uint8_t, 4> bytes = {1, 2, 3, 4};
    EXPECT_TRUE(chain->stale());
    EXPECT_FALSE(chain->read(0, bytes));
    EXPECT_FALSE(chain->write(0, bytes));
    f.queue.push(std::move(*chain), 4);
    EXPECT_EQ(f.machine.get<uint16_t>(f.ring.used + 2), 0);
    EXPECT_EQ(f.machine.get<uint32_t>(kData + 8), 0u);
}

TEST(Queue, YieldsChainsThatWereOutAgainAfterARestore) {
    Fixture f;
    for (uint16_t head : {5, 1, 3}) f.driver.submit(f.ring, head, {{kData, 1, kWrite}});
    auto kept = f.queue.pop();
    auto done = f.queue.pop();
    ASSERT_TRUE(kept && done);
    f.queue.push(std::move(*done), 1);

    StateWriter writer;
    f.queue.save(writer);
    auto document = writer.finish();
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader.has_value());
    Queue restored(f.machine.memory, 8);
    auto state = restored.parse(*reader);
    ASSERT_TRUE(state.has_value());
    restored.adopt(*state);
    restored.start(false, false);
    for (uint16_t head : {5, 3}) {
        auto chain = restored.pop();
        ASSERT_TRUE(chain.has_value());
        EXPECT_EQ(chain->head(), head);
        restored.push(std::move(*chain), 1);
    }
    EXPECT_FALSE(restored.pop().has_value());
    EXPECT_FALSE(restored.broken());
    for (uint16_t head : {1, 5, 3}) EXPECT_EQ(f.driver.take(f.ring), (FakeDriver::Used{head, 1}));
}

TEST(Queue, RefusesStatesThatNoQueueCanHave) {
    FakeMachine machine;
    Queue queue(machine.memory, 8);
    auto parses = [&](Queue::State state) {
        StateWriter writer;
        state.fields(writer);
        auto document = writer.finish();
        auto reader = StateReader::parse(document);
        return reader && queue.parse(*reader).has_value();
    };
    EXPECT_TRUE(parses({.rings = {8, 0, 0, 0}}));
    EXPECT_FALSE(parses({.rings = {16, 0, 0, 0}}));
    EXPECT_FALSE(parses({.rings = {3, 0, 0, 0}}));
    EXPECT_FALSE(parses({.rings = {0, 0, 0, 0}}));
    EXPECT_FALSE(parses({.rings = {8, 0, 0, 0}, .in_flight = {8}}));
    EXPECT_FALSE(parses({.rings = {8, 0, 0, 0}, .in_flight = {1, 1}}));
    EXPECT_FALSE(parses({.rings = {8, 0, 0, 0}, .unsignalled = 0x20000}));
}

}  // namespace
}  // namespace doppel::device::virtio
