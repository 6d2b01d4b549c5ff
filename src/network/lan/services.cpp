#include "network/lan/services.h"

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "network/lan/advertisement.h"

namespace doppel::network::lan {

namespace {

constexpr uint64_t kSecond = 1'000'000'000, kAdvertisingPause = 200 * kSecond;
constexpr Ipv6 kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr MacAddress kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};
constexpr size_t kPrefixBytes = 8;

Ipv6 link_local(const MacAddress& mac) {
    return {0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<uint8_t>(mac[0] ^ 2),
            mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

}  // namespace

Services::Services(EventLoop& loop, Switch& lan, const NetworkOptions& options)
    : loop_(loop), lan_(lan), options_(options), mac_(mac_for("network/" + options.name)), advertising_(loop, [this] {
          advertise();
      }) {
    if (options_.services) advertising_.arm(loop_.clock().monotonic() + kAdvertisingPause);
}

// ---- Addresses

std::optional<Ipv4> Services::welcome(PortId port) {
    const auto* member = lan_.find(port);
    if (!options_.services || member == nullptr || !member->options.vlans.has(kDefaultVlan)) return std::nullopt;
    const auto number = lease(port, member->mac, /*stays=*/true);
    if (!number) return std::nullopt;
    own_[port] = *number;
    return address_in(options_, *number);
}

void Services::farewell(PortId port) {
    std::erase_if(leases_, [port](const auto& one) { return one.second.port == port; });
    std::erase_if(numbers_, [this](const auto& one) { return !leases_.contains(one.second); });
    own_.erase(port);
    claimed_.erase(port);
}

std::optional<uint8_t> Services::lease(PortId port, const MacAddress& mac, bool stays) {
    const uint64_t now = loop_.clock().monotonic();
    const uint64_t ends = stays ? 0 : now + uint64_t{dhcp::kLeaseSeconds} * kSecond;
    if (const auto known = numbers_.find(mac); known != numbers_.end()) {
        Lease& lease = leases_.at(known->second);
        if (lease.port != port && lease.ends == 0) return std::nullopt;  // a member's own card is somewhere else
        lease = {port, lease.ends == 0 ? 0 : ends};
        return known->second;
    }
    const auto of_port = std::ranges::count_if(leases_, [port](const auto& one) { return one.second.port == port; });
    if (static_cast<size_t>(of_port) >= kMostLeases) return std::nullopt;
    // The same card gets the same address, unless another one has it.
    constexpr unsigned kCount = kLastGuestNumber - kFirstGuestNumber + 1;
    const auto first = static_cast<unsigned>(hash64(mac) % kCount);
    for (unsigned i = 0; i < kCount; i++) {
        const auto number = static_cast<uint8_t>(kFirstGuestNumber + (first + i) % kCount);
        const auto held = leases_.find(number);
        if (held != leases_.end() && (held->second.ends == 0 || held->second.ends > now)) continue;
        std::erase_if(numbers_, [number](const auto& one) { return one.second == number; });
        numbers_[mac] = number;
        leases_[number] = {port, ends};
        return number;
    }
    return std::nullopt;
}

std::vector<std::string> Services::addresses(PortId port) const {
    std::vector<std::string> all;
    for (const auto& [number, lease] : leases_)
        if (lease.port == port) all.push_back(text_of_ipv4(address_in(options_, number)));
    if (const auto found = claimed_.find(port); found != claimed_.end())
        for (const Ipv6& address : found->second) all.push_back(text_of_ipv6(address));
    return all;
}

// ---- What comes

bool Services::take(PortId from, const Ethernet& ethernet, const Frame& frame) {
    if (ethernet.type == kTypeArp && !routes()) {
        const auto request = arp_request_from(frame.bytes);
        if (!request || request->wanted != address_in(options_, kServiceNumber)) return false;
        lan_.answer(from, make_arp_answer(*request, mac_));
        return true;
    }
    return serve_udp(from, ethernet, frame) || serve_icmp6(from, ethernet, frame);
}

bool Services::serve_udp(PortId from, const Ethernet& ethernet, const Frame& frame) {
    const auto udp = udp_from(frame.bytes);
    if (!udp) return false;
    if (!udp->ipv6 && udp->destination_port == dhcp::kServerPort) {
        if (from != uplink_) serve_dhcp(from, *udp);
        return true;
    }
    // Nobody else gives addresses here.
    if (!udp->ipv6 && udp->destination_port == dhcp::kClientPort) return true;
    return udp->destination_port == dns::kPort && from != uplink_ && serve_dns(from, ethernet, *udp);
}

void Services::serve_dhcp(PortId from, const Udp& udp) {
    const auto request = dhcp::request_from(udp.payload);
    if (!request) return;
    const Ipv4 server = address_in(options_, kServiceNumber);
    if (request->server && *request->server != server) return;  // it has chosen another one
    if (request->kind == dhcp::Kind::kRelease || request->kind == dhcp::Kind::kDecline) return;
    const auto number = lease(from, request->mac, /*stays=*/false);
    if (!number) return;
    dhcp::Offer offer{.address = address_in(options_, *number),
                      .server = server,
                      .name_server = server,
                      .gateway = routes() ? std::optional(address_in(options_, kGatewayNumber)) : std::nullopt,
                      .domain = options_.name};
    dhcp::Kind kind = request->kind == dhcp::Kind::kDiscover ? dhcp::Kind::kOffer : dhcp::Kind::kAck;
    if (request->kind == dhcp::Kind::kRequest) {
        const Ipv4 wanted = request->wanted.value_or(request->client);
        if (wanted != offer.address) kind = dhcp::Kind::kNak;
    }
    // RFC 2131, 4.1: to an address that the client has, or by its card's.
    const bool has_address = request->client != Ipv4{} && kind != dhcp::Kind::kNak;
    const Bytes payload = dhcp::make_answer(*request, kind, offer);
    const bool to_all = kind == dhcp::Kind::kNak || (request->broadcast && !has_address);
    const Udp answer{.source4 = server,
                     .destination4 = to_all        ? kEveryone4
                                     : has_address ? request->client
                                                   : offer.address,
                     .source_port = dhcp::kServerPort,
                     .destination_port = dhcp::kClientPort,
                     .payload = payload};
    lan_.answer(from, make_udp(to_all ? kBroadcast : request->mac, mac_, answer));
}

bool Services::serve_icmp6(PortId from, const Ethernet& ethernet, const Frame& frame) {
    if (ethernet.type != kTypeIpv6) return false;
    const auto icmp = icmp6_from(frame.bytes);
    if (!icmp) return false;
    if (icmp->type == neighbours::kRouterAdvertisement) return true;  // there is one router, and it speaks below
    if (icmp->type == neighbours::kRouterSolicitation) {
        if (from != uplink_) lan_.answer(from, advertisement(kAllNodesMac, kAllNodes));
        return true;
    }
    const auto claimed = neighbours::claimed_address(*icmp);
    const Ipv6 prefix = prefix6(options_);
    if (claimed && from != uplink_ && std::equal(prefix.begin(), prefix.begin() + kPrefixBytes, claimed->begin())) {
        auto& known = claimed_[from];
        if (std::ranges::find(known, *claimed) == known.end() && known.size() < kMostAddresses6)
            known.push_back(*claimed);
    }
    return false;
}

// ---- Names

bool Services::serve_dns(PortId from, const Ethernet& ethernet, const Udp& udp) {
    Ipv6 server6 = prefix6(options_);
    server6.back() = kServiceNumber;
    const bool here = udp.ipv6 ? udp.destination6 == server6 : udp.destination4 == address_in(options_, kServiceNumber);
    if (!here) return false;
    const auto question = dns::question_from(udp.payload);
    if (!question) return !routes();
    auto answer = resolve(*question);
    if (!answer && routes()) return false;
    if (!answer) answer = dns::make_answer(*question, dns::Code::kRefused, {});
    lan_.answer(from, make_udp(ethernet.source, ethernet.destination, answer_to(udp, *answer)));
    return true;
}

// nullopt: it is not this network's to answer.
std::optional<Bytes> Services::resolve(const dns::Question& question) const {
    const std::string zone = "." + options_.name;
    const bool in_zone = question.name.ends_with(zone);
    const std::string name = in_zone ? question.name.substr(0, question.name.size() - zone.size()) : question.name;
    if (const auto port = port_of_pointer(question.name)) {
        const std::string full = lan_.find(*port)->options.name + zone;
        if (full.front() == '.') return dns::make_answer(question, dns::Code::kNoSuchName, {});
        return dns::make_answer(question, dns::Code::kDone, {{dns::kPtr, dns::encoded(full)}});
    }
    const auto port = port_of(name);
    if (!port && !in_zone) return std::nullopt;
    if (!port) return dns::make_answer(question, dns::Code::kNoSuchName, {});
    return dns::make_answer(question, dns::Code::kDone, records(*port, question.type));
}

std::vector<dns::Answer> Services::records(PortId port, uint16_t type) const {
    std::vector<dns::Answer> found;
    const auto own = own_.find(port);
    if (own != own_.end() && (type == dns::kA || type == dns::kAny)) {
        const Ipv4 address = address_in(options_, own->second);
        found.push_back({dns::kA, {address.begin(), address.end()}});
    }
    const auto claimed = claimed_.find(port);
    if (claimed != claimed_.end() && (type == dns::kAaaa || type == dns::kAny))
        for (const Ipv6& address : claimed->second) found.push_back({dns::kAaaa, {address.begin(), address.end()}});
    return found;
}

std::optional<PortId> Services::port_of(const std::string& name) const {
    for (const auto& [id, port] : lan_.ports())
        if (id != uplink_ && !name.empty() && port.options.name == name) return id;
    return std::nullopt;
}

// "N.C.B.A.in-addr.arpa" of this subnet.
std::optional<PortId> Services::port_of_pointer(const std::string& name) const {
    const Ipv4 base = address_in(options_, 0);
    const std::string ending =
        "." + std::to_string(base[2]) + "." + std::to_string(base[1]) + "." + std::to_string(base[0]) + ".in-addr.arpa";
    uint8_t number = 0;
    if (!name.ends_with(ending)) return std::nullopt;
    const char* end = name.data() + name.size() - ending.size();
    const auto [stop, error] = std::from_chars(name.data(), end, number);
    if (error != std::errc() || stop != end) return std::nullopt;
    for (const auto& [port, own] : own_)
        if (own == number) return port;
    return std::nullopt;
}

// ---- Advertisements

Bytes Services::advertisement(const MacAddress& to, const Ipv6& address) const {
    const MacAddress from = routes() ? kGatewayMac : mac_;
    neighbours::Advertisement what{
        .router = routes(), .prefix = prefix6(options_), .domain = options_.name, .mac = from};
    if (routes()) {
        what.name_server = what.prefix;
        what.name_server->back() = kServiceNumber;
    }
    const Bytes body = neighbours::make_advertisement(what);
    return make_icmp6(to, from,
                      {.source = routes() ? kGateway6 : link_local(mac_),
                       .destination = address,
                       .type = neighbours::kRouterAdvertisement,
                       .body = body});
}

void Services::advertise() {
    const Bytes frame = advertisement(kAllNodesMac, kAllNodes);
    for (const auto& [id, port] : lan_.ports())
        if (id != uplink_) lan_.answer(id, frame);
    advertising_.arm(loop_.clock().monotonic() + kAdvertisingPause);
}

}  // namespace doppel::network::lan
