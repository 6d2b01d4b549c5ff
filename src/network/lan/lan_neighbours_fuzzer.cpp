// Frames as UDP, ARP and neighbour discovery read them: what they find lies inside.
#include <cstdlib>

#include "network/lan/advertisement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::network::lan;
    const std::span<const uint8_t> frame(data, size);
    const auto inside = [&](std::span<const uint8_t> part) {
        if (part.data() < data || part.data() + part.size() > data + size) std::abort();
    };
    if (const auto udp = udp_from(frame)) inside(udp->payload);
    if (const auto icmp = icmp6_from(frame)) {
        inside(icmp->body);
        (void)neighbours::claimed_address(*icmp);
    }
    (void)arp_request_from(frame);
    return 0;
}
