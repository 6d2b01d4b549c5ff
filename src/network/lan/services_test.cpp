#include "network/lan/services.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "network/checksum.h"
#include "network/lan/advertisement.h"
#include "network/lan/frames_for_tests.h"

namespace doppel::network::lan {
namespace {

using testing::Kept;
using testing::mac;

constexpr MacAddress kAny{0x33, 0x33, 0, 0, 0, 2};

struct ServicesTest : ::testing::Test {
    explicit ServicesTest(Uplink uplink = Uplink::kNone) : options(default_network("lab")) {
        options.uplink = uplink;
        services = std::make_unique<Services>(*loop, lan, options);
        lan.set_service(services.get());
        web = *lan.add(*port_options_from("name=web"), mac(1), a);
        db = *lan.add(*port_options_from("name=db"), mac(2), b);
        address = *services->welcome(web);
        services->welcome(db);
    }
    void send(PortId from, const Bytes& frame) { lan.input(from, {{}, frame}); }
    void ask_dhcp(PortId from, const MacAddress& card, dhcp::Kind kind, std::optional<Ipv4> wanted = {}) {
        Bytes payload{1, 1, 6, 0, 0, 0, 0, 7};
        payload.resize(28);
        append(payload, card);
        payload.resize(236);
        append_be<uint32_t>(payload, 0x63825363);
        append(payload, Bytes{53, 1, static_cast<uint8_t>(kind)});
        if (wanted) {
            append(payload, Bytes{50, 4});
            append(payload, *wanted);
        }
        payload.push_back(255);
        send(from,
             make_udp(kBroadcast, card,
                      {.destination4 = kEveryone4, .source_port = 68, .destination_port = 67, .payload = payload}));
    }
    // The message's kind and the address that it gives, of the last frame.
    static std::pair<int, Ipv4> offered(const Kept& kept) {
        const auto udp = udp_from(kept.frames.back());
        if (!udp || udp->payload.size() < 243) return {0, {}};
        Ipv4 given{};
        std::copy_n(&udp->payload[16], 4, given.begin());
        return {udp->payload[242], given};
    }
    static Bytes query(std::string_view name, uint16_t type) {
        Bytes message{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
        append(message, dns::encoded(name));
        append_be(message, type);
        append_be<uint16_t>(message, 1);
        return message;
    }
    void ask_dns(PortId from, const Bytes& message) {
        send(from, make_udp(mac(9), mac(2),
                            {.source4 = address_in(options, 99),
                             .destination4 = address_in(options, kServiceNumber),
                             .source_port = 1000,
                             .destination_port = 53,
                             .payload = message}));
    }
    // The answer's code, number of records and bytes.
    static std::tuple<int, int, Bytes> answered(const Kept& kept) {
        const auto udp = udp_from(kept.frames.back());
        return {udp->payload[3] & 15, udp->payload[7], Bytes(udp->payload.begin(), udp->payload.end())};
    }

    ManualClock clock;
    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create(clock));
    Switch lan{clock};
    NetworkOptions options;
    std::unique_ptr<Services> services;
    Kept a, b;
    PortId web = 0, db = 0;
    Ipv4 address{};
};
struct RoutedTest : ServicesTest {
    RoutedTest() : ServicesTest(Uplink::kNat) {
        out = *lan.add({}, {}, uplink);
        services->set_uplink(out);
    }
    Kept uplink;
    PortId out = 0;
};

TEST_F(ServicesTest, AMembersCardGetsTheAddressThatItsNameHas) {
    ask_dhcp(web, mac(1), dhcp::Kind::kDiscover);
    EXPECT_EQ(offered(a), std::pair(2, address));
    ask_dhcp(web, mac(1), dhcp::Kind::kRequest, address);
    EXPECT_EQ(offered(a), std::pair(5, address));
    ask_dhcp(web, mac(1), dhcp::Kind::kRequest, address_in(options, 1));
    EXPECT_EQ(offered(a).first, 6) << "not that one";
    EXPECT_EQ(ones_sum(std::span(a.frames.back()).subspan(14, 20)), 0xffff);
    EXPECT_TRUE(b.frames.empty()) << "nobody else hears of it";
    ask_dns(db, query("web.lab", dns::kA));
    const auto [code, records, bytes] = answered(b);
    EXPECT_EQ(code, 0);
    ASSERT_EQ(records, 1);
    EXPECT_TRUE(std::equal(address.begin(), address.end(), bytes.end() - 4));
}

TEST_F(ServicesTest, ACardKeepsItsAddressAndAPortHasABoundOfThem) {
    std::set<Ipv4> given;
    for (uint8_t i = 10; i < 60; i++) {
        a.frames.clear();
        ask_dhcp(web, mac(i), dhcp::Kind::kDiscover);
        if (a.frames.empty()) continue;
        EXPECT_TRUE(given.insert(offered(a).second).second) << "given twice";
    }
    EXPECT_EQ(given.size(), Services::kMostLeases - 1) << "and one for the member's own card";
    EXPECT_FALSE(given.contains(address));
    a.frames.clear();
    ask_dhcp(db, mac(1), dhcp::Kind::kDiscover);
    EXPECT_TRUE(b.frames.empty()) << "the address of another member's card";
    services->farewell(web);
    lan.remove(web);
    const PortId again = *lan.add(*port_options_from("name=web"), mac(1), a);
    EXPECT_EQ(services->welcome(again), address);
}

TEST_F(ServicesTest, AnswersNamesOfItsZoneAndSingleLabels) {
    ask_dns(db, query("WEB", dns::kA));
    EXPECT_EQ(std::get<1>(answered(b)), 1);
    ask_dns(db, query("nobody.lab", dns::kA));
    EXPECT_EQ(std::get<0>(answered(b)), 3);
    ask_dns(db, query("example.com", dns::kA));
    EXPECT_EQ(std::get<0>(answered(b)), 5) << "there is no way out";
    ask_dns(db, query("web.lab", dns::kAaaa));
    EXPECT_EQ(std::tuple_cat(std::make_tuple(std::get<0>(answered(b)), std::get<1>(answered(b)))), std::tuple(0, 0));
    ask_dns(db, query(std::to_string(address[3]) + "." + std::to_string(address[2]) + "." + std::to_string(address[1]) +
                          "." + std::to_string(address[0]) + ".in-addr.arpa",
                      dns::kPtr));
    const Bytes name = dns::encoded("web.lab"), message = std::get<2>(answered(b));
    EXPECT_TRUE(std::equal(name.begin(), name.end(), message.end() - static_cast<ptrdiff_t>(name.size())));
}

TEST_F(ServicesTest, KnowsTheAddressesThatMembersClaim) {
    Ipv6 own = prefix6(options);
    own[15] = 0x77;
    Bytes body(4);
    append(body, own);
    send(web, make_icmp6(kAny, mac(1), {.destination = own, .type = neighbours::kNeighbourSolicitation, .body = body}));
    EXPECT_EQ(b.frames.size(), 1u) << "others hear of it, too";
    ask_dns(db, query("web.lab", dns::kAaaa));
    const auto [code, records, bytes] = answered(b);
    ASSERT_EQ(records, 1);
    EXPECT_TRUE(std::equal(own.begin(), own.end(), bytes.end() - 16));
    EXPECT_EQ(services->addresses(web).back(), text_of_ipv6(own));
}

TEST_F(ServicesTest, AdvertisesAPrefixWithoutAWayOut) {
    send(web, make_icmp6(kAny, mac(1), {.type = neighbours::kRouterSolicitation, .body = Bytes(4)}));
    ASSERT_EQ(a.frames.size(), 1u);
    EXPECT_TRUE(b.frames.empty());
    const auto icmp = icmp6_from(a.frames[0]);
    ASSERT_TRUE(icmp.has_value());
    EXPECT_EQ(icmp->type, neighbours::kRouterAdvertisement);
    EXPECT_EQ(icmp->body[2] << 8 | icmp->body[3], 0) << "no router";
    const Ipv6 prefix = prefix6(options);
    EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), icmp->body.begin() + 12 + 8 + 16));
    // A member that takes itself for the router is not heard.
    send(db, make_icmp6(kAny, mac(2), {.type = neighbours::kRouterAdvertisement, .body = Bytes(12)}));
    EXPECT_EQ(a.frames.size(), 1u);
}

TEST_F(ServicesTest, NobodyElseGivesAddresses) {
    send(db, make_udp(kBroadcast, mac(2), {.destination4 = kEveryone4, .source_port = 67, .destination_port = 68}));
    EXPECT_TRUE(a.frames.empty());
}

TEST_F(RoutedTest, LeavesOtherNamesToTheWayOut) {
    ask_dns(db, query("example.com", dns::kA));
    EXPECT_EQ(uplink.frames.size(), 1u);
    ask_dns(db, query("web.lab", dns::kA));
    EXPECT_EQ(uplink.frames.size(), 1u);
    EXPECT_EQ(std::get<1>(answered(b)), 1);
    ask_dhcp(db, mac(2), dhcp::Kind::kDiscover);
    EXPECT_EQ(uplink.frames.size(), 1u) << "which has a DHCP server of its own";
    send(web, make_icmp6(kAny, mac(1), {.type = neighbours::kRouterSolicitation, .body = Bytes(4)}));
    const auto icmp = icmp6_from(a.frames.back());
    EXPECT_EQ(icmp->source, Services::kGateway6);
    EXPECT_GT(icmp->body[2] << 8 | icmp->body[3], 0);
}

TEST(Packets, AreReadAsTheyAreMade) {
    const Bytes payload{1, 2, 3};
    for (bool ipv6 : {false, true}) {
        const Udp made{.ipv6 = ipv6,
                       .source4 = {1, 2, 3, 4},
                       .destination4 = {5, 6, 7, 8},
                       .source6 = {1},
                       .destination6 = {2},
                       .source_port = 9,
                       .destination_port = 10,
                       .payload = payload};
        const Bytes frame = make_udp(mac(1), mac(2), made);
        const auto read = udp_from(frame);
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->destination_port, 10);
        EXPECT_TRUE(std::equal(payload.begin(), payload.end(), read->payload.begin(), read->payload.end()));
        for (size_t length = 0; length < frame.size(); length++)
            EXPECT_FALSE(udp_from(std::span(frame).first(length)).has_value()) << length;
    }
}

TEST(NetworkOptions, AreReadAsTheyAreWritten) {
    NetworkOptions options = default_network("lab");
    EXPECT_EQ(*network_from_json(to_json(options)), options);
    options = {"x", true, Uplink::kTap, "tap0", true, false, {192, 168, 7}};
    EXPECT_EQ(*network_from_json(to_json(options)), options);
    for (const char* text : {"", "[]", "{}", R"({"name":"A"})", R"({"name":"a","uplink":"x","subnet":"10.1.1.0/24"})",
                             R"({"name":"a","uplink":"nat","subnet":"8.8.8.0/24"})",
                             R"({"name":"a","uplink":"tap","subnet":"10.1.1.0/24"})"})
        EXPECT_FALSE(network_from_json(text).has_value()) << text;
    for (const char* text : {"10.1.1.1/24", "10.1.1.0/16", "10.1.1.0", "172.32.0.0/24", "x/24"})
        EXPECT_FALSE(subnet_from(text).has_value()) << text;
}

}  // namespace
}  // namespace doppel::network::lan
