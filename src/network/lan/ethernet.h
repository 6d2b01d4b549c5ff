// What a switch reads of a frame (IEEE 802.3, 802.1Q).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "network/mac_address.h"
#include "network/port.h"

namespace doppel::network::lan {

inline constexpr size_t kTagAt = 12, kTagBytes = 4;
inline constexpr uint16_t kTagType = 0x8100;
inline constexpr uint16_t kTypeIpv4 = 0x0800, kTypeArp = 0x0806, kTypeIpv6 = 0x86dd;

// Why a frame is dropped as it comes.
enum class Defect { kLength, kAddress, kTag, kOffload };

struct Ethernet {
    MacAddress destination, source;
    std::optional<uint16_t> tag;  // the VLAN's number in it, 0 for a priority alone
    uint8_t priority = 0;         // the tag's upper four bits
    uint16_t type = 0;            // behind the tag, if there is one
    std::optional<Defect> defect;
};

// With a defect, the rest says nothing.
Ethernet parse_ethernet(std::span<const uint8_t> frame);

// Where the parts of a packet lie that is to be cut or summed, in bytes from the frame's beginning.
struct Layout {
    size_t ip = 0, transport = 0, payload = 0;
    bool ipv6 = false, tcp = false;
};
// Of a frame without tag that is to be cut; nullopt: what is left to do to it is not what its headers say.
std::optional<Layout> layout_of(const Frame& frame);
// Whether what is left to do to a frame without tag can be done.
bool offload_is_sound(const Frame& frame);

}  // namespace doppel::network::lan
