// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in the host's byte order.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace doppel::network::lan::pcapng {

std::vector<uint8_t> section_header();
// Of Ethernet, whose times are nanoseconds.
std::vector<uint8_t> interface_description(std::string_view name);
// `time` is nanoseconds since 1970; `out`: the switch sends the frame, the port's owner receives it.
std::vector<uint8_t> enhanced_packet(uint32_t interface, uint64_t time, bool out, std::span<const uint8_t> frame);

}  // namespace doppel::network::lan::pcapng
