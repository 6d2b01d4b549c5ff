// Frames between processes: a socket of kind SOCK_SEQPACKET carries one a message, a header of 16 bytes before it. Both
// ends are on one host, so numbers are in its byte order; neither trusts the other.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "network/port.h"

namespace doppel::network::link {

inline constexpr size_t kHeaderBytes = 16;
inline constexpr size_t kMaxMessage = kHeaderBytes + kMaxFrame;

using Header = std::array<uint8_t, kHeaderBytes>;

Header header_of(const Offload& offload);
// The frame that a message holds, whose bytes are the message's; nullopt: it is none, or its offsets lie outside.
std::optional<Frame> frame_of(std::span<const uint8_t> message);

}  // namespace doppel::network::link
