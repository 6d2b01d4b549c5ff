// What members ask a network itself: DHCP, DNS and neighbour discovery, as whole frames, with and without a way out.
#include <cstdlib>

#include "network/lan/frames_for_tests.h"
#include "network/lan/services.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    using namespace doppel::network;
    using namespace doppel::network::lan;
    if (size < 1) return 0;
    ManualClock clock;
    const auto loop = std::move(*EventLoop::create(clock));
    Switch lan(clock);
    NetworkOptions options = default_network("lab");
    options.uplink = (data[0] & 1) != 0 ? Uplink::kNat : Uplink::kNone;
    Services services(*loop, lan, options);
    lan.set_service(&services);
    lan::testing::Kept first, second;
    const PortId a = *lan.add(*port_options_from("name=web"), lan::testing::mac(1), first);
    const PortId b = *lan.add(*port_options_from("name=db"), lan::testing::mac(2), second);
    services.welcome(a);
    data++;
    size--;
    while (size >= 2) {
        const size_t length = std::min<size_t>(data[0] | (data[1] & 7) << 8, size - 2);
        lan.input((data[1] & 0x80) != 0 ? b : a, {{}, {data + 2, length}});
        if (services.addresses(a).size() > Services::kMostLeases + Services::kMostAddresses6) std::abort();
        data += 2 + length;
        size -= 2 + length;
    }
    return 0;
}
