#include "device/virtio/vsock/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "device/virtio/fake_driver.h"
#include "device/virtio/heap_testing.h"
#include "device/virtio/vsock/fake_host.h"

namespace doppel::device::virtio::vsock {
namespace {

constexpr unsigned kSlot = 1;
constexpr uint64_t kCid = 7;
constexpr uint64_t kRxData = kFakeRam + 0x100000, kTxData = kFakeRam + 0x200000, kEventData = kFakeRam + 0x300000;
constexpr uint16_t kBuffers = 16;
constexpr uint16_t kRx = 0, kTx = 1, kEvent = 2;
constexpr uint32_t kRxRoom = 4096, kGuestPort = 1000, kHostPort = 2000;

struct Received {
    Header header;
    std::string payload;
};

// A machine with the device, and a driver that gives buffers back at once.
struct Fixture {
    Fixture() : driver(machine, kSlot) {
        auto made = std::make_unique<VsockDevice>(kCid, host);
        device = made.get();
        machine.add(kSlot, std::move(made));
    }
    void start(bool with_buffers = true) {
        ASSERT_TRUE(machine.mapped && driver.discover() && driver.negotiate(kVersion1Feature | kEventIndexFeature));
        ASSERT_TRUE(machine.memory.fill(kFakeRam, rings.size() * 0x30000, 0));
        for (uint16_t i = 0; i < rings.size(); i++) rings[i] = driver.set_up_queue(i, kBuffers, kFakeRam + i * 0x30000);
        driver.ready();
        if (with_buffers) offer_buffers();
    }
    void offer_buffers() {
        for (uint16_t i = 0; i < kBuffers; i++) offer_buffer(i);
        driver.kick_if_wanted(rings[kRx]);
    }
    void offer_buffer(uint16_t index) {
        driver.submit(rings[kRx], index, {{kRxData + index * kRxRoom, kRxRoom, kWrite}});
    }
    // From the guest's port to the host's unless `header` says otherwise; with all the credit that a guest has.
    void send(Header header, const std::string& payload = {}) {
        header.source_cid = header.source_cid != 0 ? header.source_cid : kCid;
        header.destination_cid = header.destination_cid != 0 ? header.destination_cid : kHostCid;
        if (header.source_port == 0) header.source_port = kGuestPort;
        if (header.destination_port == 0) header.destination_port = kHostPort;
        if (header.length == 0) header.length = static_cast<uint32_t>(payload.size());
        header.buffer = guest_buffer;
        header.forwarded = guest_forwarded;
        const auto raw = header.raw();
        const uint16_t head = next_tx++ % kBuffers;
        const uint64_t at = kTxData + head * 0x10000u;
        ASSERT_TRUE(machine.memory.write(at, raw));
        const std::vector<uint8_t> bytes(payload.begin(), payload.end());
        ASSERT_TRUE(machine.memory.write(at + Header::kBytes, bytes));
        driver.submit(rings[kTx], head, {{at, static_cast<uint32_t>(raw.size() + payload.size())}});
        driver.kick_if_wanted(rings[kTx]);
        machine.settle();
        while (driver.take(rings[kTx])) {
        }
    }
    void send(Operation operation, const std::string& payload = {}, uint32_t flags = 0) {
        send(Header{.operation = operation, .flags = flags}, payload);
    }
    // All that came for the guest; `again`: it offers the buffers anew.
    std::vector<Received> take(bool again = true) {
        std::vector<Received> found;
        machine.settle();
        while (auto used = driver.take(rings[kRx])) {
            std::vector<uint8_t> bytes(used->written);
            EXPECT_TRUE(machine.memory.read(kRxData + used->head * kRxRoom, bytes));
            if (bytes.size() < Header::kBytes) continue;
            Received one{Header::parse(std::span<const uint8_t, Header::kBytes>(bytes.data(), Header::kBytes)), {}};
            one.payload.assign(bytes.begin() + Header::kBytes, bytes.end());
            EXPECT_EQ(one.header.length, one.payload.size());
            EXPECT_EQ(one.header.source_cid, kHostCid);
            EXPECT_EQ(one.header.destination_cid, kCid);
            found.push_back(one);
            if (again) offer_buffer(used->head);
            driver.kick_if_wanted(rings[kRx]);
            machine.settle();
        }
        return found;
    }
    std::vector<Operation> operations() {
        std::vector<Operation> found;
        for (const Received& one : take()) found.push_back(one.header.operation);
        return found;
    }
    // A connection of the guest's, open; the host's end.
    UniqueFd connect() {
        send(Operation::kRequest);
        UniqueFd peer = host.answer();
        EXPECT_EQ(operations(), std::vector<Operation>{Operation::kResponse});
        return peer;
    }
    void say(const UniqueFd& peer, const std::string& text) {
        ASSERT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
        machine.settle();
    }
    // What a peer has heard; "<end>" behind it at the end, however it came.
    static std::string hear(const UniqueFd& peer) {
        std::string heard;
        std::array<char, 65536> piece;
        while (true) {
            const ssize_t got = ::recv(peer.get(), piece.data(), piece.size(), MSG_DONTWAIT);
            if (got <= 0) return got < 0 && errno == EAGAIN ? heard : heard + "<end>";
            heard.append(piece.data(), static_cast<size_t>(got));
        }
    }

    FakeHost host;  // outlives the device
    FakeMachine machine;
    FakeDriver driver;
    VsockDevice* device = nullptr;
    std::array<FakeDriver::Ring, 3> rings;
    uint16_t next_tx = 0;
    uint32_t guest_buffer = 1 << 20, guest_forwarded = 0;
};

std::string pattern(size_t bytes) {
    std::string text(bytes, 0);
    std::iota(text.begin(), text.end(), '\0');
    return text;
}

TEST(VirtioVsock, TellsTheGuestItsCid) {
    Fixture f;
    f.start();
    EXPECT_EQ(f.machine.pci.config(kSlot, PCI_DEVICE_ID, 2), 0x1053u);
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config(), 4), kCid);
    EXPECT_EQ(f.machine.pci.read(f.driver.device_config() + 4, 4), 0u);
}

TEST(VirtioVsock, AGuestsConnectionReachesTheHostsPort) {
    Fixture f;
    f.start();
    f.send(Operation::kRequest);
    ASSERT_EQ(f.host.dialled.size(), 1u);
    EXPECT_EQ(f.host.dialled[0].port, kHostPort);
    EXPECT_TRUE(f.take().empty()) << "it is still dialling";
    UniqueFd peer = f.host.answer();
    auto response = f.take();
    ASSERT_EQ(response.size(), 1u);
    EXPECT_EQ(response[0].header.operation, Operation::kResponse);
    EXPECT_EQ(response[0].header.source_port, kHostPort);
    EXPECT_EQ(response[0].header.destination_port, kGuestPort);
    EXPECT_EQ(response[0].header.buffer, VsockDevice::kLargeBuffer);
    f.send(Operation::kData, "from the guest");
    EXPECT_EQ(f.hear(peer), "from the guest");
    f.say(peer, "from the host");
    auto data = f.take();
    ASSERT_EQ(data.size(), 1u);
    EXPECT_EQ(data[0].header.operation, Operation::kData);
    EXPECT_EQ(data[0].payload, "from the host");
    EXPECT_EQ(data[0].header.forwarded, 14u);
}

TEST(VirtioVsock, AConnectionThatNobodyTakesIsReset) {
    Fixture f;
    f.start();
    f.send(Operation::kRequest);
    f.host.refuse();
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset});
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, AClientOfTheHostIsConnectedOnceTheGuestAccepts) {
    Fixture f;
    f.start();
    UniqueFd peer = f.host.come();
    f.say(peer, "CONN");
    EXPECT_TRUE(f.take().empty()) << "half a line";
    f.say(peer, "ECT 5000\nearly");
    auto request = f.take();
    ASSERT_EQ(request.size(), 1u);
    EXPECT_EQ(request[0].header.operation, Operation::kRequest);
    EXPECT_EQ(request[0].header.destination_port, 5000u);
    EXPECT_EQ(f.hear(peer), "");
    const uint32_t port = request[0].header.source_port;
    EXPECT_GE(port, VsockDevice::kFirstHostPort);
    f.send(Header{.source_port = 5000, .destination_port = port, .operation = Operation::kResponse});
    EXPECT_EQ(f.hear(peer), "OK " + std::to_string(port) + "\n");
    auto data = f.take();
    ASSERT_EQ(data.size(), 1u);
    EXPECT_EQ(data[0].payload, "early") << "what came behind the line";
}

TEST(VirtioVsock, ClientsWithoutAGuestOrAnAnswerAreTurnedAway) {
    Fixture f;
    UniqueFd early = f.host.come();
    EXPECT_EQ(f.hear(early), "<end>") << "there is no driver";
    f.start();
    for (const char* line : {"CONNECT\n", "CONNECT 12x\n", "CONNECT -1\n", "CONNECT 4294967296\n", "HELLO 5\n", "\n",
                             "CONNECT 0000000000000000000000000005\n"}) {
        UniqueFd peer = f.host.come();
        f.say(peer, line);
        EXPECT_NE(f.hear(peer).find("<end>"), std::string::npos) << line;
    }
    UniqueFd refused = f.host.come();
    f.say(refused, "CONNECT 5\n");
    auto request = f.take();
    ASSERT_EQ(request.size(), 1u);
    f.send(Header{.source_port = 5, .destination_port = request[0].header.source_port, .operation = Operation::kReset});
    EXPECT_EQ(f.hear(refused), "<end>");
    UniqueFd impatient = f.host.come();
    f.machine.settle();
    impatient.reset();
    f.machine.settle();
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, SendsNoMoreThanTheGuestHasRoomFor) {
    Fixture f;
    f.start();
    f.guest_buffer = 1000;
    UniqueFd peer = f.connect();
    const std::string text = pattern(5000);
    f.say(peer, text);
    std::string heard;
    for (const Received& one : f.take()) {
        heard += one.payload;
        EXPECT_EQ(one.header.operation, one.payload.empty() ? Operation::kCreditRequest : Operation::kData);
    }
    EXPECT_EQ(heard, text.substr(0, 1000));
    f.send(Operation::kCreditUpdate);
    EXPECT_TRUE(f.take().empty()) << "nothing new, and it was asked already";
    while (heard.size() < text.size()) {
        const size_t before = heard.size();
        f.guest_forwarded = static_cast<uint32_t>(before);
        f.send(Operation::kCreditUpdate);
        for (const Received& one : f.take()) heard += one.payload;
        ASSERT_GT(heard.size(), before);
        ASSERT_LE(heard.size(), before + 1000);
    }
    EXPECT_EQ(heard, text);
}

TEST(VirtioVsock, CreditThatCannotBeIsNone) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    f.guest_forwarded = 5;  // of nothing sent
    f.send(Operation::kCreditUpdate);
    f.say(peer, "text");
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kCreditRequest});
}

TEST(VirtioVsock, HoldsAsMuchAsItPromisedForAHostThatDoesNotRead) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    const int small = 4096;  // the socket's own buffers do not hide the device's
    ASSERT_EQ(::setsockopt(peer.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    uint32_t sent = 0, forwarded = 0;
    std::string all;
    // As much as credit allows, until the host's end is full and nothing moves.
    while (sent - forwarded < VsockDevice::kLargeBuffer) {
        const std::string piece = pattern(std::min<size_t>(4000, VsockDevice::kLargeBuffer - (sent - forwarded)));
        f.send(Operation::kData, piece);
        all += piece;
        sent += static_cast<uint32_t>(piece.size());
        for (const Received& one : f.take()) {
            ASSERT_EQ(one.header.operation, Operation::kCreditUpdate);
            forwarded = one.header.forwarded;
        }
        ASSERT_LT(sent, 64u << 20) << "the socket takes everything";
    }
    std::string heard = f.hear(peer);
    for (size_t before = 0; heard.size() < all.size() && heard.size() != before;) {
        before = heard.size();
        f.machine.settle();
        heard += f.hear(peer);
    }
    EXPECT_EQ(heard == all, true) << heard.size() << " of " << all.size();
    auto update = f.take();
    ASSERT_FALSE(update.empty());
    EXPECT_EQ(update.back().header.forwarded, sent);
}

TEST(VirtioVsock, AGuestThatSendsMoreThanItsCreditIsReset) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    // Nothing of a packet that is too large is taken.
    f.send(Operation::kData, pattern(40000));
    f.hear(peer);
    f.take();
    for (int i = 0; i < 400; i++) {
        f.send(Operation::kData, pattern(60000));
        auto answers = f.take();
        if (!answers.empty() && answers.back().header.operation == Operation::kReset) break;
    }
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, TheEndOfTheHostsDataIsAHalfClosedConnection) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    f.say(peer, "last words");
    ::shutdown(peer.get(), SHUT_WR);
    auto heard = f.take();
    ASSERT_EQ(heard.size(), 2u);
    EXPECT_EQ(heard[0].payload, "last words");
    EXPECT_EQ(heard[1].header.operation, Operation::kShutdown);
    EXPECT_EQ(heard[1].header.flags, kNoSend);
    f.send(Operation::kData, "an answer");
    EXPECT_EQ(f.hear(peer), "an answer");
    f.send(Operation::kShutdown, {}, kNeither);
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset});
    EXPECT_EQ(f.hear(peer), "<end>");
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, TheEndOfTheGuestsDataReachesTheHostAndTheOtherWayGoesOn) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    f.send(Operation::kData, "all");
    f.send(Operation::kShutdown, {}, kNoSend);
    EXPECT_EQ(f.hear(peer), "all<end>");
    f.say(peer, "thanks");
    auto heard = f.take();
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].payload, "thanks");
    peer.reset();
    heard = f.take();
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].header.operation, Operation::kShutdown);
    EXPECT_EQ(heard[0].header.flags, kNeither);
    f.send(Operation::kReset);
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, AHostThatHangsUpIsHeardToTheEndFirst) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    const std::string text = pattern(30000);
    ASSERT_EQ(::send(peer.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    peer.reset();
    f.send(Operation::kData, "to nobody");
    std::string heard;
    uint32_t flags = 0;
    for (const Received& one : f.take()) {
        heard += one.payload;
        if (one.header.operation == Operation::kShutdown) flags = one.header.flags;
    }
    EXPECT_EQ(heard, text);
    EXPECT_EQ(flags, kNeither);
    f.send(Operation::kData, "still to nobody");
    f.send(Operation::kShutdown, {}, kNeither);
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset});
}

TEST(VirtioVsock, WhatTheGuestSentBeforeItWentStillReachesTheHost) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    const int small = 4096;
    ASSERT_EQ(::setsockopt(peer.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    std::string all;
    for (int i = 0; i < 16; i++) {
        f.send(Operation::kData, pattern(4000));
        all += pattern(4000);
    }
    f.send(Operation::kReset);
    f.send(Operation::kData, "from a stranger");
    auto answers = f.take();
    ASSERT_FALSE(answers.empty());
    EXPECT_EQ(answers.back().header.operation, Operation::kReset);
    std::string heard;
    for (int i = 0; i < 100 && heard.find("<end>") == std::string::npos; i++) {
        heard += f.hear(peer);
        f.machine.settle();
    }
    EXPECT_EQ(heard == all + "<end>", true) << heard.size();
    EXPECT_EQ(f.device->connections(), 0u);
}

TEST(VirtioVsock, StrangersAndNonsenseAreReset) {
    Fixture f;
    f.start();
    for (Operation operation : {Operation::kData, Operation::kShutdown, Operation::kResponse, Operation::kCreditUpdate,
                                Operation::kInvalid, static_cast<Operation>(99)}) {
        f.send(operation);
        EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset}) << static_cast<int>(operation);
    }
    f.send(Operation::kReset);
    f.send(Header{.source_cid = 99, .operation = Operation::kData});
    f.send(Header{.destination_cid = 99, .operation = Operation::kData});
    f.send(Header{.length = 5, .operation = Operation::kData});
    EXPECT_TRUE(f.take().empty());
    f.send(Header{.type = 2, .operation = Operation::kRequest});
    auto answer = f.take();
    ASSERT_EQ(answer.size(), 1u);
    EXPECT_EQ(answer[0].header.operation, Operation::kReset);
    EXPECT_EQ(answer[0].header.type, 2u);
    UniqueFd peer = f.connect();
    f.send(Operation::kRequest);
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset});
    EXPECT_EQ(f.hear(peer), "<end>");
}

TEST(VirtioVsock, AGuestWithoutBuffersIsNotHeardForEver) {
    Fixture f;
    f.start(/*with_buffers=*/false);
    for (size_t i = 0; i < VsockDevice::kMaxReplies; i++) f.send(Operation::kData);
    const uint16_t before = f.rings[kTx].next_used;
    f.send(Operation::kData);
    EXPECT_EQ(f.rings[kTx].next_used, before) << "it waits in the queue";
    f.offer_buffers();
    EXPECT_EQ(f.take().size(), VsockDevice::kMaxReplies + 1);
}

TEST(VirtioVsock, ManyConnectionsShareTheDeviceAndNoMoreThanItsBound) {
    if (!may_open(2 * VsockDevice::kMaxConnections + 100)) GTEST_SKIP() << "this host allows too few descriptors";
    Fixture f;
    f.start();
    std::vector<UniqueFd> peers;
    uint64_t promised = 0;  // bytes
    for (uint32_t i = 0; i < VsockDevice::kMaxConnections; i++) {
        f.send(Header{.source_port = 1 + i, .operation = Operation::kRequest});
        peers.push_back(f.host.answer());
        auto response = f.take();
        ASSERT_EQ(response.size(), 1u) << i;
        ASSERT_EQ(response[0].header.operation, Operation::kResponse) << i;
        promised += response[0].header.buffer;
    }
    EXPECT_LE(promised, 24u << 20);
    f.send(Header{.source_port = 9999, .operation = Operation::kRequest});
    EXPECT_EQ(f.operations(), std::vector<Operation>{Operation::kReset});
    UniqueFd turned_away = f.host.come();
    EXPECT_EQ(f.hear(turned_away), "<end>");
    for (size_t i = 0; i < peers.size(); i++) f.say(peers[i], std::to_string(i));
    size_t right = 0;
    for (const Received& one : f.take()) right += one.payload == std::to_string(one.header.destination_port - 1);
    EXPECT_EQ(right, peers.size());
}

TEST(VirtioVsock, AResetClosesAllConnections) {
    Fixture f;
    f.start();
    UniqueFd peer = f.connect();
    UniqueFd client = f.host.come();
    f.machine.settle();
    f.driver.set_status(0);
    f.machine.settle();
    EXPECT_EQ(f.hear(peer), "<end>");
    EXPECT_EQ(f.hear(client), "<end>");
    f.start();
    UniqueFd again = f.connect();
    f.send(Operation::kData, "anew");
    EXPECT_EQ(f.hear(again), "anew");
}

TEST(VirtioVsock, ARestoredGuestHearsThatItsConnectionsAreGone) {
    Fixture before;
    before.start();
    UniqueFd peer = before.connect();
    const FakeDriver::Descriptor event{kEventData, 4, kWrite};
    before.machine.put<uint32_t>(kEventData, 0xffffffff);
    before.driver.submit(before.rings[kEvent], 0, {event});
    before.driver.kick_if_wanted(before.rings[kEvent]);
    before.machine.settle();
    EXPECT_EQ(before.driver.take(before.rings[kEvent]), std::nullopt);

    Fixture after;
    ASSERT_TRUE(after.machine.restore_from(before.machine).has_value());
    after.driver = before.driver;
    after.driver.move_to(after.machine);
    after.rings = before.rings;
    after.machine.settle();
    EXPECT_EQ(after.driver.take(after.rings[kEvent]), (FakeDriver::Used{0, 4}));
    EXPECT_EQ(after.machine.get<uint32_t>(kEventData), 0u);
    after.send(Operation::kData, "to nobody");
    EXPECT_EQ(after.operations(), std::vector<Operation>{Operation::kReset});
    after.send(Header{.source_port = 5, .operation = Operation::kRequest});
    UniqueFd other = after.host.answer();
    EXPECT_EQ(after.operations(), std::vector<Operation>{Operation::kResponse});
}

TEST(VirtioVsock, TakesLessThanAMegabyteOfTheHost) {
    const HeapGrowth heap;
    Fixture f;
    f.start();
    EXPECT_LT(heap.bytes(), kMostHeapOfDevice);
}

}  // namespace
}  // namespace doppel::device::virtio::vsock
