// A quick 64-bit checksum for content that nobody forges: of two byte strings that differ in eight bytes at most,
// aligned as they are read, it is never the same. The same on every host.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "base/byte_order.h"

namespace doppel {

inline uint64_t hash64(std::span<const uint8_t> bytes) {
    constexpr uint64_t kFactor = 0x9e37'79b9'7f4a'7c15;
    uint64_t hash = bytes.size() * kFactor;
    // Every step is a bijection of `hash`.
    const auto mix = [&](uint64_t word) {
        hash = (hash ^ word) * kFactor;
        hash ^= hash >> 29;
    };
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) mix(load_le<uint64_t>(&bytes[at]));
    uint64_t rest = 0;
    for (size_t i = at; i < bytes.size(); i++) rest |= uint64_t{bytes[i]} << 8 * (i - at);
    mix(rest);
    return hash ^ hash >> 32;
}

}  // namespace doppel
