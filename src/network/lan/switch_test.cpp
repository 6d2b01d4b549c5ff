#include "network/lan/switch.h"

#include <gtest/gtest.h>

#include "network/lan/frames_for_tests.h"

namespace doppel::network::lan {
namespace {

using namespace testing;

struct SwitchTest : ::testing::Test {
    ManualClock clock;
    Switch lan{clock};
    Kept a, b, c;

    PortId add(Kept& outlet, uint8_t number, const char* options = "") {
        const auto parsed = port_options_from(options);
        EXPECT_TRUE(parsed.has_value()) << options;
        return *lan.add(*parsed, mac(number), outlet);
    }
    void send(PortId from, const Bytes& frame, const Offload& offload = {}) { lan.input(from, {offload, frame}); }
    const Counters& of(PortId port) { return lan.find(port)->counters; }
};

TEST_F(SwitchTest, FloodsWhatItDoesNotKnowAndLearnsWhereItIs) {
    const PortId pa = add(a, 1), pb = add(b, 2);
    add(c, 3);
    send(pa, ethernet(mac(2), mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), 1u);
    EXPECT_EQ(c.frames.size(), 1u) << "not known yet";
    send(pb, ethernet(mac(1), mac(2), 0x800));
    EXPECT_EQ(a.frames.size(), 1u);
    send(pa, ethernet(mac(2), mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), 2u);
    EXPECT_EQ(c.frames.size(), 1u);
    clock.advance(MacTable::kAge + 1);
    send(pa, ethernet(mac(2), mac(1), 0x800));
    EXPECT_EQ(c.frames.size(), 2u) << "forgotten";
    lan.remove(pb);
    send(pa, ethernet(mac(2), mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), 3u) << "it has left";
}

TEST_F(SwitchTest, KeepsVlansApartAndTagsThemOnTrunks) {
    const PortId p10 = add(a, 1, "vlan=10"), p20 = add(b, 2, "vlan=20"), trunk = add(c, 3, "trunk=10+20,native=30");
    send(p10, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_TRUE(b.frames.empty());
    ASSERT_EQ(c.frames.size(), 1u);
    EXPECT_EQ(c.frames[0], tagged(ethernet(kBroadcast, mac(1), 0x800), 10));
    send(trunk, tagged(ethernet(kBroadcast, mac(3), 0x800), 0xa000 | 20));
    ASSERT_EQ(b.frames.size(), 1u);
    EXPECT_EQ(b.frames[0], ethernet(kBroadcast, mac(3), 0x800));
    EXPECT_TRUE(a.frames.empty());
    send(trunk, tagged(ethernet(kBroadcast, mac(3), 0x800), 40));
    send(p20, tagged(ethernet(kBroadcast, mac(2), 0x800), 10));
    EXPECT_EQ(of(trunk).wrong_vlan, 1u);
    EXPECT_EQ(of(p20).wrong_vlan, 1u) << "an access port sends no tags";
    EXPECT_TRUE(a.frames.empty());
}

TEST_F(SwitchTest, MovesOffsetsWithTheTag) {
    const PortId p10 = add(a, 1, "vlan=10"), trunk = add(c, 3, "trunk=10");
    send(p10, tcp4(kBroadcast, mac(1), 5000), cut_tcp4(1000));
    ASSERT_EQ(c.frames.size(), 1u);
    EXPECT_EQ(c.offloads[0].checksum_start, 38);
    EXPECT_EQ(c.offloads[0].header_bytes, 58);
    send(trunk, tagged(tcp4(kBroadcast, mac(3), 5000), 10), c.offloads[0]);
    ASSERT_EQ(a.frames.size(), 1u);
    EXPECT_EQ(a.offloads[0], cut_tcp4(1000));
}

TEST_F(SwitchTest, CutsForThoseWhoTakeNothingWhole) {
    const PortId pa = add(a, 1);
    add(b, 2);
    b.accepted = {};
    send(pa, tcp4(mac(2), mac(1), 2500), cut_tcp4(1000));
    ASSERT_EQ(b.frames.size(), 3u);
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        const Bytes& frame = b.frames[i];
        const size_t payload = frame.size() - 54;
        EXPECT_EQ(payload, i < 2 ? 1000u : 500u);
        EXPECT_EQ(ones_sum(std::span(frame).subspan(14, 20)), 0xffff);
        EXPECT_EQ(load_be<uint16_t>(&frame[16]), 40 + payload);
        EXPECT_EQ(load_be<uint32_t>(&frame[38]), 1000 + at);
        EXPECT_EQ(frame[47], i < 2 ? 0x10 : 0x19) << "only the last one ends";
        Bytes pseudo(frame.begin() + 26, frame.end());
        pseudo.insert(pseudo.end(),
                      {0, 6, static_cast<uint8_t>((20 + payload) >> 8), static_cast<uint8_t>(20 + payload)});
        EXPECT_EQ(ones_sum(pseudo), 0xffff);
        const Bytes whole = tcp4(mac(2), mac(1), 2500);
        EXPECT_TRUE(std::equal(frame.begin() + 54, frame.end(), whole.begin() + 54 + static_cast<ptrdiff_t>(at)));
        at += payload;
    }
}

TEST_F(SwitchTest, DropsAndCountsBadFrames) {
    const PortId pa = add(a, 1);
    add(b, 2);
    const Bytes good = ethernet(mac(2), mac(1), 0x800);
    send(pa, Bytes(13));
    send(pa, Bytes(kMaxFrame + 1, 2));
    send(pa, ethernet(mac(2), kBroadcast, 0x800));
    send(pa, ethernet(mac(2), {}, 0x800));
    send(pa, tagged(good, 0xfff));
    send(pa, ethernet(mac(2), mac(1), kTagType, 3));
    send(pa, good, {.needs_checksum = true, .checksum_start = 59, .checksum_offset = 0});
    send(pa, good, {.needs_checksum = true, .checksum_start = 4, .checksum_offset = 0});
    send(pa, good, cut_tcp4(1000));
    send(pa, tcp4(mac(2), mac(1), 2000), [] {
        Offload wrong = cut_tcp4(1000);
        wrong.checksum_start = 30;
        return wrong;
    }());
    EXPECT_EQ(of(pa).bad_length, 2u);
    EXPECT_EQ(of(pa).bad_address, 2u);
    EXPECT_EQ(of(pa).bad_tag, 2u);
    EXPECT_EQ(of(pa).bad_offload, 4u);
    EXPECT_TRUE(b.frames.empty());
}

TEST_F(SwitchTest, APinnedPortHasOneAddressThatIsItsAlone) {
    const PortId pa = add(a, 1, "pin"), pb = add(b, 2);
    send(pa, ethernet(kBroadcast, mac(9), 0x800));
    send(pb, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_TRUE(a.frames.empty() && b.frames.empty());
    EXPECT_EQ(of(pa).spoofed, 1u);
    EXPECT_EQ(of(pb).spoofed, 1u);
    send(pa, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), 1u);
}

TEST_F(SwitchTest, IsolatedPortsSeeOnlyTheOthers) {
    const PortId pa = add(a, 1, "isolated"), pb = add(b, 2, "isolated"), pc = add(c, 3);
    send(pa, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_TRUE(b.frames.empty());
    EXPECT_EQ(c.frames.size(), 1u);
    send(pb, ethernet(mac(1), mac(2), 0x800));
    EXPECT_TRUE(a.frames.empty());
    EXPECT_EQ(of(pb).isolated, 1u);
    send(pc, ethernet(mac(1), mac(3), 0x800));
    EXPECT_EQ(a.frames.size(), 1u);
}

TEST_F(SwitchTest, FloodsAreBounded) {
    const PortId pa = add(a, 1);
    add(b, 2);
    for (size_t i = 0; i < Switch::kFloodBurst + 100; i++) send(pa, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), Switch::kFloodBurst);
    EXPECT_EQ(of(pa).flooded_too_much, 100u);
    clock.advance(1'000'000'000);
    send(pa, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_EQ(b.frames.size(), Switch::kFloodBurst + 1);
}

TEST_F(SwitchTest, APortWithoutRoomBlocksNobody) {
    const PortId pa = add(a, 1);
    const PortId pb = add(b, 2);
    add(c, 3);
    b.room = 1;
    for (int i = 0; i < 10; i++) send(pa, ethernet(kBroadcast, mac(1), 0x800));
    EXPECT_EQ(c.frames.size(), 10u);
    EXPECT_EQ(of(pb).no_room, 9u);
}

TEST_F(SwitchTest, ARateHoldsInTime) {
    const PortId pa = add(a, 1);
    const PortId pb = add(b, 2, "rate=1M");
    const Bytes frame = ethernet(kBroadcast, mac(1), 0x800, 986);
    for (int i = 0; i < 4000; i++) {
        send(pa, frame);
        clock.advance(500'000);  // 2 MB a second
    }
    EXPECT_NEAR(static_cast<double>(b.frames.size()), 2000.0 * 1.048 + 262, 60);
    EXPECT_EQ(of(pb).beyond_rate, 4000 - b.frames.size());
}

TEST_F(SwitchTest, NamesAndAddressesAreOnes) {
    add(a, 1, "name=web");
    EXPECT_FALSE(lan.add(*port_options_from("name=web"), mac(2), b).has_value());
    EXPECT_FALSE(lan.add({}, mac(1), b).has_value());
    EXPECT_TRUE(lan.add(*port_options_from("name=db"), mac(2), b).has_value());
}

TEST_F(SwitchTest, ShowsAPortsFramesToTheMirror) {
    const PortId pa = add(a, 1), pb = add(b, 2);
    std::vector<std::pair<PortId, bool>> seen;
    lan.set_mirror([&](PortId port, bool out, const Frame&) { seen.emplace_back(port, out); });
    send(pa, ethernet(mac(2), mac(1), 0x800));
    send(pa, Bytes(3));
    EXPECT_EQ(seen, (std::vector<std::pair<PortId, bool>>{{pa, false}, {pb, true}}));
}

TEST(MacTable, HasABoundForEachPortAndForAll) {
    MacTable table;
    const auto address = [](size_t number) {
        return MacAddress{2,
                          0,
                          0,
                          static_cast<uint8_t>(number >> 16),
                          static_cast<uint8_t>(number >> 8),
                          static_cast<uint8_t>(number)};
    };
    for (size_t i = 0; i < 5000; i++) table.learn(address(i), 1, 1, 1);
    EXPECT_EQ(table.size(), MacTable::kMostOfAPort);
    table.learn(address(6000), 1, 2, 2);
    EXPECT_EQ(table.find(address(6000), 1, 3), std::optional<PortId>(2));
    EXPECT_EQ(table.find(address(6000), 2, 3), std::nullopt) << "in another VLAN";
    table.learn(address(6000), 1, 3, 4);
    EXPECT_EQ(table.find(address(6000), 1, 5), std::optional<PortId>(3)) << "it moved";
    EXPECT_EQ(table.of_port(2), 0u);
    for (PortId port = 10; port < 30; port++)
        for (size_t i = 0; i < 2000; i++) table.learn(address(port * 10'000 + i), 1, port, 6);
    EXPECT_EQ(table.size(), MacTable::kMost);
    table.learn(address(1'000'000), 1, 99, MacTable::kAge + 10'000'000'000);
    EXPECT_EQ(table.size(), 1u) << "what is old makes room";
    table.forget(99);
    EXPECT_EQ(table.size(), 0u);
}

TEST(PortOptions, AreReadAsTheyAreWritten) {
    for (const char* text :
         {"", "vlan=10", "trunk=10-12+20", "trunk=1+10,native=1", "name=web-1", "mac=02:00:00:00:00:01", "rate=10M",
          "pin", "isolated", "vlan=4094,name=a,mac=02:00:00:00:00:01,rate=1K,pin,isolated"})
        EXPECT_EQ(text_of(*port_options_from(text)), text);
}

TEST(PortOptions, AreNothingElse) {
    for (const char* text : {"vlan=0", "vlan=4095", "vlan=x", "vlan", "trunk=", "trunk=3-2", "trunk=1++2", "native=3",
                             "pin,pin", "vlan=1,trunk=2", "name=Web", "name=-a", "name=", "mac=01:00:00:00:00:00",
                             "rate=0", "pin=1", "colour", ","}) {
        const auto options = port_options_from(text);
        ASSERT_FALSE(options.has_value()) << text;
        EXPECT_EQ(options.error().kind, ErrorKind::kUsage);
        EXPECT_EQ(options.error().subject, "--net");
    }
}

TEST(PortOptions, ANameBecomesALabel) {
    EXPECT_EQ(label_of("Web.1_a-"), "web-1-a");
    EXPECT_EQ(label_of("_x"), "");
}

}  // namespace
}  // namespace doppel::network::lan
