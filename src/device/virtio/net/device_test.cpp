#include "device/virtio/net/device.h"

#include <gtest/gtest.h>

#include <numeric>

#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"
#include "device/virtio/net/fake_port.h"
#include "device/virtio/net/linux_virtio_net.h"

namespace doppel::device::virtio::net {
namespace {

constexpr unsigned kSlot = 1;
constexpr MacAddress kMac{2, 0, 0, 0, 0, 7};
constexpr uint64_t kRxData = kFakeRam + 0x100000, kTxData = kFakeRam + 0x200000, kControlData = kFakeRam + 0x3f0000;
constexpr uint16_t kRx = 0, kTx = 1, kControl = 2;
constexpr uint64_t kMerge = 1 << VIRTIO_NET_F_MRG_RXBUF;
constexpr uint64_t kEverything = ~(kIndirectFeature | kEventIndexFeature);

using Bytes = std::vector<uint8_t>;

Bytes frame_to(const MacAddress& to, size_t bytes) {
    Bytes frame(bytes);
    std::iota(frame.begin(), frame.end(), uint8_t{0});
    std::copy(to.begin(), to.end(), frame.begin());
    return frame;
}

struct Fixture {
    Fixture() : driver(machine, kSlot) {
        auto made = std::make_unique<NetDevice>(NetOptions{.mac = kMac, .mtu = 9000}, port);
        device = made.get();
        machine.add(kSlot, std::move(made));
    }
    void start(uint64_t features = kEverything) {
        ASSERT_TRUE(machine.mapped && driver.discover());
        ASSERT_TRUE(machine.memory.fill(kFakeRam, rings.size() * 0x30000, 0));
        ASSERT_TRUE(driver.negotiate((driver.offered_features() & features) | kVersion1Feature | kEventIndexFeature));
        for (uint16_t i = 0; i < rings.size(); i++) rings[i] = driver.set_up_queue(i, 64, kFakeRam + i * 0x30000);
        driver.ready();
        machine.settle();
    }
    // Buffers of `room` bytes for frames to come, from number `first` on.
    void offer(uint16_t first, uint16_t count, uint32_t room) {
        for (uint16_t i = first; i < first + count; i++) {
            driver.submit(rings[kRx], i, {{kRxData + i * 0x1000u, room, kWrite}});
        }
        driver.kick_if_wanted(rings[kRx]);
        machine.settle();
    }
    // (length, content) of what came.
    std::vector<Bytes> received() {
        std::vector<Bytes> found;
        while (auto used = driver.take(rings[kRx])) {
            Bytes bytes(used->written);
            EXPECT_TRUE(machine.memory.read(kRxData + used->head * 0x1000u, bytes));
            found.push_back(bytes);
        }
        return found;
    }
    void send(const virtio_net_hdr_v1& header, const Bytes& frame) {
        const uint16_t head = next_tx++ % 8;
        const uint64_t at = kTxData + head * 0x18000;
        Bytes raw(sizeof header);
        std::memcpy(raw.data(), &header, sizeof header);
        raw.insert(raw.end(), frame.begin(), frame.end());
        ASSERT_TRUE(machine.memory.write(at, raw));
        driver.submit(rings[kTx], head, {{at, static_cast<uint32_t>(raw.size())}});
        driver.kick_if_wanted(rings[kTx]);
        machine.settle();
    }
    size_t given_back() {
        size_t count = 0;
        while (driver.take(rings[kTx])) count++;
        return count;
    }
    uint8_t control(const Bytes& command) {
        EXPECT_TRUE(machine.memory.write(kControlData, command));
        driver.submit(rings[kControl], 0,
                      {{kControlData, static_cast<uint32_t>(command.size())}, {kControlData + 0x8000, 1, kWrite}});
        driver.kick_if_wanted(rings[kControl]);
        machine.settle();
        EXPECT_EQ(driver.take(rings[kControl]), (FakeDriver::Used{0, 1}));
        return machine.get<uint8_t>(kControlData + 0x8000);
    }
    uint64_t config(unsigned offset, unsigned bytes) {
        return machine.pci.read(driver.device_config() + offset, bytes);
    }

    FakePort port;  // outlives the device
    FakeMachine machine;
    FakeDriver driver;
    NetDevice* device = nullptr;
    std::array<FakeDriver::Ring, 3> rings;
    uint16_t next_tx = 0;
};

TEST(VirtioNet, TellsMacMtuAndLink) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_DEVICE_ID, 2), 0x1041u);
    EXPECT_EQ(f.config(0, 4), 0x00000002u);
    EXPECT_EQ(f.config(4, 2), 0x0700u);
    EXPECT_EQ(f.config(6, 2), uint64_t{VIRTIO_NET_S_LINK_UP});
    EXPECT_EQ(f.config(10, 2), 9000u);
    f.port.up = false;
    f.port.card->link_changed(false);
    EXPECT_TRUE(f.driver.interrupt());
    EXPECT_EQ(f.config(6, 2), 0u);
}

TEST(VirtioNet, OffersWhatThePortTakes) {
    Fixture f;
    f.port.accepted = {.checksum = true, .tcp6 = true};
    f.start();
    const uint64_t offered = f.driver.offered_features();
    EXPECT_NE(offered & 1 << VIRTIO_NET_F_CSUM, 0u);
    EXPECT_NE(offered & 1 << VIRTIO_NET_F_HOST_TSO6, 0u);
    EXPECT_EQ(offered & 1 << VIRTIO_NET_F_HOST_TSO4, 0u);
    EXPECT_EQ(f.port.received, (network::Offloads{true, true, true, true, true, true}));
    Fixture g;
    g.start(1 << VIRTIO_NET_F_GUEST_CSUM);
    EXPECT_EQ(g.port.received, network::Offloads{.checksum = true});
}

TEST(VirtioNet, SendsFramesWithWhatIsLeftToDo) {
    Fixture f;
    f.start();
    const Bytes plain = frame_to({1, 2, 3, 4, 5, 6}, 60), large = frame_to({1, 2, 3, 4, 5, 6}, 60000);
    f.send({}, plain);
    virtio_net_hdr_v1 header{};
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
    header.csum_start = 34;
    header.csum_offset = 16;
    header.gso_size = 1448;
    header.hdr_len = 66;
    f.send(header, large);
    ASSERT_EQ(f.port.sent.size(), 2u);
    EXPECT_EQ(f.port.sent[0].bytes, plain);
    EXPECT_EQ(f.port.sent[0].offload, network::Offload{});
    EXPECT_EQ(f.port.sent[1].bytes, large);
    network::Offload expected{.needs_checksum = true,
                              .checksum_start = 34,
                              .checksum_offset = 16,
                              .segmentation = network::Segmentation::kTcp4,
                              .ecn = true,
                              .segment_bytes = 1448,
                              .header_bytes = 66};
    EXPECT_EQ(f.port.sent[1].offload, expected);
    EXPECT_EQ(f.given_back(), 2u);
}

TEST(VirtioNet, DropsFramesThatCannotBe) {
    Fixture f;
    f.start();
    const Bytes frame = frame_to(kMac, 100);
    virtio_net_hdr_v1 beyond{};
    beyond.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    beyond.csum_start = 90;
    beyond.csum_offset = 9;
    virtio_net_hdr_v1 nothing_to_cut_by{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4};
    virtio_net_hdr_v1 without_sum{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4};
    without_sum.gso_size = 100;
    virtio_net_hdr_v1 unknown{.gso_type = 77};
    virtio_net_hdr_v1 not_offered{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_UDP};
    not_offered.gso_size = 100;
    for (const auto& header : {beyond, nothing_to_cut_by, without_sum, unknown, not_offered}) f.send(header, frame);
    f.send({}, frame_to(kMac, network::kMinFrame - 1));
    f.send({}, frame_to(kMac, network::kMaxFrame + 1));
    EXPECT_TRUE(f.port.sent.empty());
    EXPECT_EQ(f.given_back(), 7u);
    f.send({}, frame_to(kMac, network::kMinFrame));
    f.send({}, frame_to(kMac, network::kMaxFrame));
    EXPECT_EQ(f.port.sent.size(), 2u);
    EXPECT_EQ(f.driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

TEST(VirtioNet, WhatThePortDoesNotTakeWaits) {
    Fixture f;
    f.start();
    f.port.room = 1;
    for (uint8_t i = 0; i < 3; i++) f.send({}, frame_to({i, 2, 3, 4, 5, 6}, 60));
    EXPECT_EQ(f.port.sent.size(), 1u);
    EXPECT_EQ(f.given_back(), 1u);
    f.port.room = SIZE_MAX;
    f.port.card->sendable();
    f.machine.settle();
    ASSERT_EQ(f.port.sent.size(), 3u);
    for (uint8_t i = 0; i < 3; i++) EXPECT_EQ(f.port.sent[i].bytes[0], i);
    EXPECT_EQ(f.given_back(), 2u);
}

TEST(VirtioNet, ReceivesFramesInOneBuffer) {
    Fixture f;
    f.start(kEverything & ~kMerge);
    f.offer(0, 2, 2000);
    const Bytes frame = frame_to(kMac, 1000);
    EXPECT_EQ(f.port.give({{{}, frame}}), 1u);
    auto came = f.received();
    ASSERT_EQ(came.size(), 1u);
    EXPECT_EQ(Bytes(came[0].begin() + kHeaderBytes, came[0].end()), frame);
    EXPECT_EQ(came[0][offsetof(virtio_net_hdr_v1, num_buffers)], 1);
    EXPECT_TRUE(f.driver.interrupt());
    // One that does not fit is lost, with its buffer, and the next one is not.
    f.offer(2, 1, 2000);
    EXPECT_EQ(f.port.give({{{}, frame_to(kMac, 1989)}, {{}, frame}}), 2u);
    came = f.received();
    ASSERT_EQ(came.size(), 2u);
    EXPECT_TRUE(came[0].empty());
    EXPECT_EQ(came[1].size(), 1012u);
}

TEST(VirtioNet, ALargeFrameLiesInSeveralBuffers) {
    Fixture f;
    f.start();
    f.offer(0, 8, 1024);
    const Bytes frame = frame_to(kMac, 3000);
    network::Offload offload{.needs_checksum = true,
                             .checksum_start = 34,
                             .checksum_offset = 16,
                             .segmentation = network::Segmentation::kTcp6,
                             .segment_bytes = 1400,
                             .header_bytes = 74};
    EXPECT_EQ(f.port.give({{offload, frame}}), 1u);
    auto came = f.received();
    ASSERT_EQ(came.size(), 3u);
    virtio_net_hdr_v1 header;
    std::memcpy(&header, came[0].data(), sizeof header);
    EXPECT_EQ(header.num_buffers, 3);
    EXPECT_EQ(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    EXPECT_EQ(header.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
    EXPECT_EQ(header.gso_size, 1400);
    EXPECT_EQ(header.csum_start, 34);
    Bytes all;
    for (const Bytes& part : came) all.insert(all.end(), part.begin(), part.end());
    EXPECT_EQ(Bytes(all.begin() + kHeaderBytes, all.end()), frame);
}

TEST(VirtioNet, FramesWaitForBuffersAtThePort) {
    Fixture f;
    f.start();
    const int before = f.port.resumed;
    f.offer(0, 1, 1024);
    EXPECT_EQ(f.port.give({{{}, frame_to(kMac, 1500)}, {{}, frame_to(kMac, 100)}}), 0u);
    EXPECT_EQ(f.port.resumed, before);
    f.offer(1, 2, 1024);
    EXPECT_EQ(f.port.resumed, before + 1);
    EXPECT_EQ(f.port.give({{{}, frame_to(kMac, 1500)}, {{}, frame_to(kMac, 100)}}), 2u);
    EXPECT_EQ(f.received().size(), 3u);
}

TEST(VirtioNet, ADriverOfTinyBuffersLosesFrames) {
    Fixture f;
    f.start();
    f.offer(0, 64, 1);
    EXPECT_EQ(f.port.give({{{}, frame_to(kMac, 1500)}}), 1u) << "there will never be room";
    EXPECT_EQ(f.driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

TEST(VirtioNet, FiltersAsTheDriverAsks) {
    Fixture f;
    f.start();
    f.offer(0, 32, 2000);
    const MacAddress other{2, 9, 9, 9, 9, 9}, group{1, 0, 0x5e, 0, 0, 1}, all{255, 255, 255, 255, 255, 255};
    auto wanted = [&](const MacAddress& to) {
        EXPECT_EQ(f.port.give({{{}, frame_to(to, 60)}}), 1u);
        return f.received().size() == 1;
    };
    EXPECT_TRUE(wanted(other)) << "at first, everything";
    EXPECT_EQ(f.control({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0}), VIRTIO_NET_OK);
    EXPECT_TRUE(wanted(kMac) && wanted(all));
    EXPECT_FALSE(wanted(other) || wanted(group));
    Bytes table{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 1, 0, 0, 0};
    table.insert(table.end(), other.begin(), other.end());
    table.insert(table.end(), {1, 0, 0, 0});
    table.insert(table.end(), group.begin(), group.end());
    EXPECT_EQ(f.control(table), VIRTIO_NET_OK);
    EXPECT_TRUE(wanted(other) && wanted(group));
    EXPECT_FALSE(wanted({2, 8, 8, 8, 8, 8}) || wanted({1, 0, 0x5e, 0, 0, 2}));
    EXPECT_EQ(f.control({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1}), VIRTIO_NET_OK);
    EXPECT_TRUE(wanted({1, 0, 0x5e, 0, 0, 2}));
    EXPECT_EQ(f.control({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1}), VIRTIO_NET_OK);
    EXPECT_FALSE(wanted(all));
    Bytes address{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 8, 8, 8, 8, 8};
    EXPECT_EQ(f.control(address), VIRTIO_NET_OK);
    EXPECT_TRUE(wanted({2, 8, 8, 8, 8, 8}));
    EXPECT_EQ(f.config(0, 4), 0x08080802u);
}

TEST(VirtioNet, RefusesCommandsThatCannotBe) {
    Fixture f;
    f.start();
    for (const Bytes& command :
         std::vector<Bytes>{{},
                            {VIRTIO_NET_CTRL_RX},
                            {VIRTIO_NET_CTRL_RX, 99, 1},
                            {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 2},
                            {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC},
                            {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 1, 2, 3},
                            {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 255, 255, 255, 255},
                            {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0, 0, 0, 0},
                            {VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK},
                            {VIRTIO_NET_CTRL_MQ, 0, 1, 0},
                            {5, 0, 255, 255, 255, 255, 255, 255, 255, 255},
                            {99, 0}}) {
        if (command.empty()) continue;
        EXPECT_EQ(f.control(command), VIRTIO_NET_ERR);
    }
    // More addresses than the card keeps: all of the kind are wanted.
    Bytes table{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0xe8, 3, 0, 0};
    table.resize(table.size() + 6000);
    table.resize(table.size() + 4);
    EXPECT_EQ(f.control(table), VIRTIO_NET_OK);
    EXPECT_EQ(f.control({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0}), VIRTIO_NET_OK);
    f.offer(0, 1, 2000);
    EXPECT_EQ(f.port.give({{{}, frame_to({2, 8, 8, 8, 8, 8}, 60)}}), 1u);
    EXPECT_EQ(f.received().size(), 1u);
}

TEST(VirtioNet, TheDriverMayTakeLessThanItNegotiated) {
    Fixture f;
    f.start();
    f.offer(0, 4, 2000);
    EXPECT_EQ(f.control({5, 0, 2, 0, 0, 0, 0, 0, 0, 0}), VIRTIO_NET_OK);  // GUEST_CSUM
    EXPECT_EQ(f.port.received, network::Offloads{.checksum = true});
    network::Offload cut{.needs_checksum = true, .segmentation = network::Segmentation::kTcp4, .segment_bytes = 100};
    EXPECT_EQ(f.port.give({{cut, frame_to(kMac, 1000)}}), 1u);
    EXPECT_TRUE(f.received().empty()) << "the port was told";
}

TEST(VirtioNet, AsksTheDriverToAnnounceItself) {
    Fixture f;
    f.device->announce();
    f.start();
    EXPECT_EQ(f.config(6, 2) & VIRTIO_NET_S_ANNOUNCE, 0u) << "there was no driver";
    f.device->announce();
    EXPECT_TRUE(f.driver.interrupt());
    EXPECT_NE(f.config(6, 2) & VIRTIO_NET_S_ANNOUNCE, 0u);
    EXPECT_EQ(f.control({VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK}), VIRTIO_NET_OK);
    EXPECT_EQ(f.config(6, 2) & VIRTIO_NET_S_ANNOUNCE, 0u);
}

TEST(VirtioNet, AResetForgetsFramesAndWhatTheDriverSet) {
    Fixture f;
    f.start();
    f.port.room = 0;
    f.send({}, frame_to(kMac, 60));
    f.control({VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 8, 8, 8, 8, 8});
    f.control({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0});
    f.driver.set_status(0);
    EXPECT_EQ(f.port.give({{{}, frame_to(kMac, 60)}}), 1u) << "a card that is down takes everything";
    f.port.room = SIZE_MAX;
    f.port.card->sendable();
    f.start();
    EXPECT_TRUE(f.port.sent.empty());
    EXPECT_EQ(f.config(4, 2), 0x0700u);
    f.offer(0, 1, 2000);
    EXPECT_EQ(f.port.give({{{}, frame_to({2, 9, 9, 9, 9, 9}, 60)}}), 1u);
    EXPECT_EQ(f.received().size(), 1u);
}

TEST(VirtioNet, WhatWasNotSentYetIsSentByTheRestoredMachine) {
    Fixture before;
    before.start();
    before.port.room = 0;
    before.send({}, frame_to({1, 2, 3, 4, 5, 6}, 60));
    before.offer(0, 2, 1024);
    EXPECT_EQ(before.port.give({{{}, frame_to(kMac, 3000)}}), 0u) << "and buffers are held";
    before.control({VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 8, 8, 8, 8, 8});
    before.control({5, 0, 2, 0, 0, 0, 0, 0, 0, 0});

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.driver = before.driver;
    after.driver.move_to(after.machine);
    after.rings = before.rings;
    after.machine.settle();
    ASSERT_EQ(after.port.sent.size(), 1u);
    EXPECT_EQ(after.given_back(), 1u);
    EXPECT_EQ(after.config(0, 4), 0x08080802u);
    EXPECT_EQ(after.port.received, network::Offloads{.checksum = true});
    EXPECT_EQ(after.port.give({{{}, frame_to({2, 8, 8, 8, 8, 8}, 1500)}}), 1u);
    EXPECT_EQ(after.received().size(), 2u);
}

TEST(VirtioNet, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::net
