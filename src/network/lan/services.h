// What a network answers by itself, in its default VLAN: DHCP, router advertisements, and DNS for its members' names.
// Names of others go on to the way out, whose name server has the same address.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "network/lan/dhcp.h"
#include "network/lan/dns.h"
#include "network/lan/network_options.h"
#include "network/lan/packets.h"
#include "network/lan/switch.h"

namespace doppel::network::lan {

class Services final : public Service {
  public:
    static constexpr size_t kMostLeases = 16, kMostAddresses6 = 8;  // of one port
    // The gateway of a NAT, whose router it is: what libslirp makes of an address that ends in ::2.
    static constexpr Ipv6 kGateway6{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, kGatewayNumber};
    static constexpr MacAddress kGatewayMac{0x52, 0x56, 0, 0, 0, kGatewayNumber};

    Services(EventLoop& loop, Switch& lan, const NetworkOptions& options);

    // The port that leads out: what comes from there is not served.
    void set_uplink(PortId port) { uplink_ = port; }
    // A member is there: the address that its card will get; nullopt: there is none left, or nobody gives any.
    std::optional<Ipv4> welcome(PortId port);
    void farewell(PortId port);
    // As text: what a port's machines have, as far as is known.
    std::vector<std::string> addresses(PortId port) const;

    bool take(PortId from, const Ethernet& ethernet, const Frame& frame) override;

  private:
    struct Lease {
        PortId port;
        uint64_t ends;  // nanoseconds; 0: with its port
    };
    bool routes() const { return options_.uplink == Uplink::kNat; }
    std::optional<uint8_t> lease(PortId port, const MacAddress& mac, bool stays);
    bool serve_udp(PortId from, const Ethernet& ethernet, const Frame& frame);
    void serve_dhcp(PortId from, const Udp& udp);
    bool serve_dns(PortId from, const Ethernet& ethernet, const Udp& udp);
    bool serve_icmp6(PortId from, const Ethernet& ethernet, const Frame& frame);
    std::optional<Bytes> resolve(const dns::Question& question) const;
    std::vector<dns::Answer> records(PortId port, uint16_t type) const;
    std::optional<PortId> port_of(const std::string& name) const;
    std::optional<PortId> port_of_pointer(const std::string& name) const;
    Bytes advertisement(const MacAddress& to, const Ipv6& address) const;
    void advertise();

    EventLoop& loop_;
    Switch& lan_;
    const NetworkOptions options_;
    const MacAddress mac_;  // of the network itself
    PortId uplink_ = 0;
    std::map<MacAddress, uint8_t> numbers_;  // the last byte of an address
    std::map<uint8_t, Lease> leases_;
    std::map<PortId, uint8_t> own_;                // of members' own cards
    std::map<PortId, std::vector<Ipv6>> claimed_;  // within the prefix
    EventLoop::Timer advertising_;
};

}  // namespace doppel::network::lan
