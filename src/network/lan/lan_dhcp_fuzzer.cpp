// A DHCP request as it comes, and an answer to it that fits a packet.
#include <cstdlib>

#include "network/lan/dhcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::network::lan;
    const auto request = dhcp::request_from({data, size});
    if (!request) return 0;
    for (dhcp::Kind kind : {dhcp::Kind::kOffer, dhcp::Kind::kAck, dhcp::Kind::kNak}) {
        const Bytes answer = dhcp::make_answer(*request, kind, {.gateway = Ipv4{10, 0, 0, 2}, .domain = "lab"});
        if (answer.size() < 300 || answer.size() > 576) std::abort();
        if (dhcp::request_from(answer)) std::abort();  // an answer is no request
    }
    return 0;
}
