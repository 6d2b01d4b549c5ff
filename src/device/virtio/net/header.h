// The header before each frame (virtio 1.2, 5.1.6), and features as what is left to do to frames.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "network/port.h"

namespace doppel::device::virtio::net {

inline constexpr size_t kHeaderBytes = 12;

// What the driver leaves to the device (the device to the driver), of these features.
network::Offloads sent_offloads(uint64_t features);
network::Offloads received_offloads(uint64_t features);
// The features that mean it.
uint64_t sending_features(const network::Offloads& offloads);
uint64_t receiving_features();

// A driver's header; nullopt when it asks for what was not negotiated or for what does not fit a frame of `length`
// bytes.
std::optional<network::Offload> parse(std::span<const uint8_t, kHeaderBytes> raw, size_t length,
                                      const network::Offloads& negotiated);
std::array<uint8_t, kHeaderBytes> header_of(const network::Offload& offload, uint16_t buffers);

}  // namespace doppel::device::virtio::net
