#include "network/lan/dhcp.h"

#include <algorithm>

#include "base/byte_order.h"

namespace doppel::network::lan::dhcp {

namespace {

// RFC 2131, 2: the fixed part; options begin behind the cookie.
constexpr size_t kFixedBytes = 236, kMacAt = 28, kClientAt = 12, kLeastBytes = 300;
constexpr uint32_t kCookie = 0x63825363;
constexpr uint8_t kFromClient = 1, kFromServer = 2;
// RFC 2132.
constexpr uint8_t kPad = 0, kMask = 1, kRouter = 3, kNameServer = 6, kDomain = 15, kWanted = 50, kLease = 51,
                  kKind = 53, kServer = 54, kEnd = 255;

void option(Bytes& to, uint8_t code, std::span<const uint8_t> value) {
    to.push_back(code);
    to.push_back(static_cast<uint8_t>(value.size()));
    append(to, value);
}

}  // namespace

std::optional<Request> request_from(std::span<const uint8_t> payload) {
    if (payload.size() < kFixedBytes + sizeof kCookie || payload[0] != kFromClient || payload[1] != 1 ||
        payload[2] != std::tuple_size_v<MacAddress> || load_be<uint32_t>(&payload[kFixedBytes]) != kCookie)
        return std::nullopt;
    Request request;
    request.transaction = load_be<uint32_t>(&payload[4]);
    request.broadcast = (payload[10] & 0x80) != 0;
    std::copy_n(&payload[kClientAt], request.client.size(), request.client.begin());
    std::copy_n(&payload[kMacAt], request.mac.size(), request.mac.begin());
    uint8_t kind = 0;
    auto options = payload.subspan(kFixedBytes + sizeof kCookie);
    while (!options.empty() && options[0] != kEnd) {
        if (options[0] == kPad) {
            options = options.subspan(1);
            continue;
        }
        if (options.size() < 2 || options.size() < size_t{2} + options[1]) return std::nullopt;
        const auto value = options.subspan(2, options[1]);
        const auto address = [&]() -> std::optional<Ipv4> {
            if (value.size() != sizeof(Ipv4)) return std::nullopt;
            return Ipv4{value[0], value[1], value[2], value[3]};
        };
        if (options[0] == kKind && value.size() == 1) kind = value[0];
        if (options[0] == kWanted) request.wanted = address();
        if (options[0] == kServer) request.server = address();
        options = options.subspan(2 + value.size());
    }
    const bool known = kind == 1 || kind == 3 || kind == 4 || kind == 7 || kind == 8;
    if (!known) return std::nullopt;
    request.kind = static_cast<Kind>(kind);
    return request;
}

Bytes make_answer(const Request& request, Kind kind, const Offer& offer) {
    const bool nak = kind == Kind::kNak, inform = request.kind == Kind::kInform;
    Bytes bytes{kFromServer, 1, sizeof(MacAddress), 0};
    append_be(bytes, request.transaction);
    append_be<uint16_t>(bytes, 0);
    append_be<uint16_t>(bytes, request.broadcast ? 0x8000 : 0);
    append(bytes, nak ? Ipv4{} : request.client);
    append(bytes, nak || inform ? Ipv4{} : offer.address);
    append_be<uint64_t>(bytes, 0);  // no boot server, no relay
    append(bytes, request.mac);
    bytes.resize(kFixedBytes);
    append_be(bytes, kCookie);
    const auto code = static_cast<uint8_t>(kind);
    option(bytes, kKind, {&code, 1});
    option(bytes, kServer, offer.server);
    if (!nak) {
        Bytes lease;
        append_be(lease, kLeaseSeconds);
        if (!inform) option(bytes, kLease, lease);
        option(bytes, kMask, Ipv4{255, 255, 255, 0});
        if (offer.gateway) option(bytes, kRouter, *offer.gateway);
        option(bytes, kNameServer, offer.name_server);
        option(bytes, kDomain, {reinterpret_cast<const uint8_t*>(offer.domain.data()), offer.domain.size()});
    }
    bytes.push_back(kEnd);
    bytes.resize(std::max(bytes.size(), kLeastBytes));
    return bytes;
}

}  // namespace doppel::network::lan::dhcp
