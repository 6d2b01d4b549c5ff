// For tests: frames, and a port that keeps what comes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/byte_order.h"
#include "network/checksum.h"
#include "network/lan/switch.h"

namespace doppel::network::lan::testing {

using Bytes = std::vector<uint8_t>;

inline MacAddress mac(uint8_t number) {
    return {2, 0, 0, 0, 0, number};
}

inline Bytes ethernet(const MacAddress& to, const MacAddress& from, uint16_t type, size_t payload = 46) {
    Bytes frame(to.begin(), to.end());
    frame.insert(frame.end(), from.begin(), from.end());
    frame.push_back(static_cast<uint8_t>(type >> 8));
    frame.push_back(static_cast<uint8_t>(type));
    for (size_t i = 0; i < payload; i++) frame.push_back(static_cast<uint8_t>(i * 31 + i / 256));
    return frame;
}

inline Bytes tagged(Bytes frame, uint16_t tag) {
    const uint8_t bytes[] = {0x81, 0, static_cast<uint8_t>(tag >> 8), static_cast<uint8_t>(tag)};
    frame.insert(frame.begin() + 12, bytes, bytes + 4);
    return frame;
}

// A TCP packet of IPv4 whose sums are left to do, of `payload` bytes from sequence number 1000 on.
inline Bytes tcp4(const MacAddress& to, const MacAddress& from, size_t payload) {
    Bytes frame = ethernet(to, from, kTypeIpv4, 40 + payload);
    uint8_t* ip = &frame[14];
    std::fill(ip, ip + 40, uint8_t{0});
    ip[0] = 0x45;
    store_be(ip + 2, static_cast<uint16_t>(40 + payload));
    ip[8] = 64;
    ip[9] = 6;
    for (int i = 0; i < 8; i++) ip[12 + i] = static_cast<uint8_t>(10 + i);
    store_be<uint32_t>(ip + 24, 1000);
    ip[32] = 0x50;
    ip[33] = 0x19;  // ACK, PSH, FIN
    return frame;
}
inline Offload cut_tcp4(uint16_t segment) {
    return {.needs_checksum = true,
            .checksum_start = 34,
            .checksum_offset = 16,
            .segmentation = Segmentation::kTcp4,
            .segment_bytes = segment,
            .header_bytes = 54};
}

struct Kept final : Outlet {
    bool put(const Frame& frame) override {
        if (room == 0) return false;
        room--;
        frames.emplace_back(frame.bytes.begin(), frame.bytes.end());
        offloads.push_back(frame.offload);
        return true;
    }
    Offloads takes() const override { return accepted; }
    Offloads accepted{.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = true};
    size_t room = 1'000'000;
    std::vector<Bytes> frames;
    std::vector<Offload> offloads;
};

}  // namespace doppel::network::lan::testing
