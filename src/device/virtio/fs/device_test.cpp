#include "device/virtio/fs/device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/temporary_folder.h"
#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"

namespace doppel::device::virtio::fs {
namespace {

constexpr unsigned kSlot = 1;
constexpr uint64_t kRequests = kFakeRam + 0x30000;  // the rings of queue 1
constexpr uint64_t kIn = kFakeRam + 0x100000, kOut = kFakeRam + 0x200000;

struct Fixture {
    explicit Fixture(const TemporaryFolder& folder, unsigned threads = 0) : driver(machine, kSlot) {
        UniqueFd root(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY));
        auto server = std::move(*fuse::Server::create(std::move(root), {}));
        server->start_thread();
        workers.start(threads);
        machine.add(kSlot, std::make_unique<FsDevice>(
                               FsDevice::Parts{"share0", std::move(server), machine.memory, workers, 2}));
    }
    ~Fixture() { workers.stop(); }

    void start() {
        ASSERT_TRUE(machine.mapped && driver.discover() && driver.negotiate(kVersion1Feature | kIndirectFeature));
        ASSERT_TRUE(machine.memory.fill(kFakeRam, kIn - kFakeRam, 0));
        urgent = driver.set_up_queue(0, 16);
        requests = driver.set_up_queue(1, 16, kRequests);
        driver.ready();
    }
    // Puts a request in memory and offers it, its answer's room in two pieces.
    void send(uint16_t head, uint32_t opcode, uint64_t node, const std::vector<uint8_t>& body, uint32_t room = 0x4000) {
        fuse_in_header header{};
        header.len = static_cast<uint32_t>(sizeof header + body.size());
        header.opcode = opcode;
        header.unique = head + 1000u;
        header.nodeid = node;
        const uint64_t in = kIn + head * 0x8000u, out = kOut + head * 0x8000u;
        ASSERT_TRUE(machine.memory.write(in, bytes(header)) && machine.memory.write(in + sizeof header, body));
        std::vector<FakeDriver::Descriptor> chain{{in, sizeof header}};
        if (!body.empty()) chain.push_back({in + sizeof header, static_cast<uint32_t>(body.size())});
        chain.push_back({out, sizeof(fuse_out_header), kWrite});
        if (room > 0) chain.push_back({out + sizeof(fuse_out_header), room, kWrite});
        driver.submit(requests, head, chain);
        driver.kick(requests);
    }
    std::optional<FakeDriver::Used> answer() {
        const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (std::chrono::steady_clock::now() < patience) {
            machine.settle();
            if (auto used = driver.take(requests)) return used;
            std::this_thread::yield();
        }
        return std::nullopt;
    }
    template <class T>
    std::vector<uint8_t> bytes(const T& value) {
        const auto* at = reinterpret_cast<const uint8_t*>(&value);
        return {at, at + sizeof value};
    }
    template <class T>
    T body(uint16_t head) {
        T value{};
        std::span<uint8_t> to(reinterpret_cast<uint8_t*>(&value), sizeof value);
        EXPECT_TRUE(machine.memory.read(kOut + head * 0x8000u + sizeof(fuse_out_header), to));
        return value;
    }
    int error(uint16_t head) { return -static_cast<int>(machine.get<uint32_t>(kOut + head * 0x8000u + 4)); }
    void begin_session() {
        send(0, FUSE_INIT, 0, bytes(fuse_init_in{7, FUSE_KERNEL_MINOR_VERSION, 0, ~0U, 0, {}}));
        ASSERT_TRUE(answer().has_value());
        ASSERT_EQ(error(0), 0);
    }

    Workers workers;
    FakeMachine machine;
    FakeDriver driver;
    FakeDriver::Ring urgent, requests;
};

TEST(VirtioFs, TellsItsTagAndItsQueues) {
    TemporaryFolder folder;
    Fixture f(folder);
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_VENDOR_ID, 4), 0x105a1af4u);
    f.start();
    EXPECT_EQ(f.driver.read(VIRTIO_PCI_COMMON_NUMQ, 2), 3u);
    std::string tag;
    for (unsigned i = 0; i < kMaxTag; i++)
        tag += static_cast<char>(f.machine.pci.read(f.driver.device_config() + i, 1));
    EXPECT_EQ(tag, std::string("share0") + std::string(30, '\0'));
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config() + kMaxTag, 4), 2u);
}

TEST(VirtioFs, ServesRequestsInTheGuestsMemory) {
    TemporaryFolder folder;
    std::ofstream(folder / "file") << "content of the host";
    for (unsigned threads : {0u, 3u}) {
        Fixture f(folder, threads);
        f.start();
        f.begin_session();
        f.send(0, FUSE_LOOKUP, 1, {'f', 'i', 'l', 'e', 0});
        EXPECT_EQ(f.answer(), (FakeDriver::Used{0, sizeof(fuse_out_header) + sizeof(fuse_entry_out)}));
        EXPECT_TRUE(f.driver.interrupt());
        const uint64_t node = f.body<fuse_entry_out>(0).nodeid;
        f.send(0, FUSE_OPEN, node, f.bytes(fuse_open_in{O_RDWR, 0}));
        ASSERT_TRUE(f.answer().has_value());
        fuse_read_in read{};
        read.fh = f.body<fuse_open_out>(0).fh;
        read.size = 7;
        (void)f.machine.memory.collect_dirty();
        f.send(4, FUSE_READ, node, f.bytes(read));
        EXPECT_EQ(f.answer(), (FakeDriver::Used{4, sizeof(fuse_out_header) + 7}));
        const auto content = f.body<std::array<char, 7>>(4);
        EXPECT_EQ(std::string(content.begin(), content.end()), "content");
        const auto dirty = f.machine.memory.collect_dirty();
        EXPECT_NE(std::find(dirty.begin(), dirty.end(), kOut + 4 * 0x8000), dirty.end());
    }
}

TEST(VirtioFs, ForgetsThroughTheUrgentQueue) {
    TemporaryFolder folder;
    std::ofstream(folder / "file") << "x";
    Fixture f(folder);
    f.start();
    f.begin_session();
    f.send(0, FUSE_LOOKUP, 1, {'f', 'i', 'l', 'e', 0});
    ASSERT_TRUE(f.answer().has_value());
    const uint64_t node = f.body<fuse_entry_out>(0).nodeid;
    fuse_in_header header{};
    header.len = sizeof header + sizeof(fuse_forget_in);
    header.opcode = FUSE_FORGET;
    header.nodeid = node;
    ASSERT_TRUE(f.machine.memory.write(kIn, f.bytes(header)) &&
                f.machine.memory.write(kIn + sizeof header, f.bytes(fuse_forget_in{1})));
    f.driver.submit(f.urgent, 0, {{kIn, header.len}});
    f.driver.kick(f.urgent);
    f.machine.settle();
    EXPECT_EQ(f.driver.take(f.urgent), (FakeDriver::Used{0, 0}));
    f.send(0, FUSE_GETATTR, node, f.bytes(fuse_getattr_in{}));
    ASSERT_TRUE(f.answer().has_value());
    EXPECT_EQ(f.error(0), ESTALE);
}

struct Locked : Fixture {
    explicit Locked(const TemporaryFolder& folder, unsigned threads) : Fixture(folder, threads) {
        std::ofstream(folder / "file") << "x";
        host = UniqueFd(open((folder / "file").c_str(), O_RDWR));
        EXPECT_EQ(flock(host.get(), LOCK_EX), 0);
        start();
        begin_session();
        send(0, FUSE_LOOKUP, 1, {'f', 'i', 'l', 'e', 0});
        EXPECT_TRUE(answer().has_value());
        node = body<fuse_entry_out>(0).nodeid;
        send(0, FUSE_OPEN, node, bytes(fuse_open_in{O_RDWR, 0}));
        EXPECT_TRUE(answer().has_value());
        const fuse_lk_in lock{body<fuse_open_out>(0).fh, 1, {0, INT64_MAX, F_WRLCK, 1}, FUSE_LK_FLOCK, 0};
        for (uint16_t head = 4; head < 12; head += 4) send(head, FUSE_SETLKW, node, bytes(lock));
    }
    UniqueFd host;
    uint64_t node = 0;
};

TEST(VirtioFs, WaitsForLocksAndServesOthersMeanwhile) {
    TemporaryFolder folder;
    Locked f(folder, 1);
    f.send(0, FUSE_GETATTR, f.node, f.bytes(fuse_getattr_in{}));
    EXPECT_EQ(f.answer(), (FakeDriver::Used{0, sizeof(fuse_out_header) + sizeof(fuse_attr_out)}));
    EXPECT_EQ(f.driver.take(f.requests), std::nullopt);
    ASSERT_EQ(flock(f.host.get(), LOCK_UN), 0);
    EXPECT_EQ(f.answer(), (FakeDriver::Used{4, sizeof(fuse_out_header)}));
    EXPECT_EQ(f.answer(), (FakeDriver::Used{8, sizeof(fuse_out_header)}));
}

TEST(VirtioFs, DropsWhatIsUnderWayWhenItIsReset) {
    TemporaryFolder folder;
    Locked f(folder, 2);
    for (int i = 0; i < 20; i++) {
        f.send(0, FUSE_GETATTR, f.node, f.bytes(fuse_getattr_in{}));
        f.driver.set_status(0);
        std::vector<uint8_t> before(0x20000), after(before.size());
        ASSERT_TRUE(f.machine.memory.read(kOut, before));
        flock(f.host.get(), LOCK_UN);
        f.machine.settle();
        ASSERT_TRUE(f.machine.memory.read(kOut, after));
        EXPECT_EQ(before, after);
        f.start();
        f.send(0, FUSE_GETATTR, 1, f.bytes(fuse_getattr_in{}));
        ASSERT_TRUE(f.answer().has_value());
        EXPECT_EQ(f.error(0), EIO) << "a new session has to begin";
        f.begin_session();
    }
}

TEST(VirtioFs, AnswersInARestoredMachineWhoWaited) {
    TemporaryFolder folder;
    Locked before(folder, 1);
    before.machine.settle();
    Fixture after(folder, 1);
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    ASSERT_EQ(flock(before.host.get(), LOCK_UN), 0);
    before.driver.set_status(0);  // or its own waiters got the lock
    after.driver = before.driver;
    after.driver.move_to(after.machine);
    after.requests = before.requests;
    EXPECT_EQ(after.answer(), (FakeDriver::Used{4, sizeof(fuse_out_header)}));
    EXPECT_EQ(after.error(4), 0);
    after.send(0, FUSE_GETATTR, before.node, after.bytes(fuse_getattr_in{}));
    EXPECT_TRUE(after.answer().has_value());
}

TEST(VirtioFs, SurvivesRequestsThatAreNone) {
    TemporaryFolder folder;
    Fixture f(folder);
    f.start();
    f.driver.submit(f.requests, 0, {{kIn, 8}, {kOut, 4, kWrite}});
    f.driver.kick(f.requests);
    EXPECT_EQ(f.answer(), (FakeDriver::Used{0, 0}));
    f.driver.submit(f.requests, 0, {{kOut, 64, kWrite}});
    f.driver.kick(f.requests);
    EXPECT_EQ(f.answer(), (FakeDriver::Used{0, sizeof(fuse_out_header)}));
    f.send(0, FUSE_WRITE, 1, std::vector<uint8_t>(3), 0);
    EXPECT_EQ(f.answer(), (FakeDriver::Used{0, sizeof(fuse_out_header)}));
}

TEST(VirtioFs, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    const TemporaryFolder folder;
    Fixture f(folder, 4);
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::fs
