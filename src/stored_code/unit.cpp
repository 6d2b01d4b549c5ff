#include "stored_code/unit.h"

#include <algorithm>
#include <cstring>

#include "base/byte_order.h"
#include "base/hash.h"

namespace doppel::stored_code {

namespace {

constexpr size_t kHeadBytes = 24, kPartBytes = 8, kCrossingBytes = 4;

bool is_valid(const Part& part, size_t host_bytes) {
    return part.offset % 2 == 0 && part.bytes != 0 && part.bytes % 2 == 0 &&
           size_t{part.offset} + part.bytes <= kPageBytes &&
           (host_bytes == 0 ? part.entry == 0 : part.entry < host_bytes);
}

// In one part or the other as a whole.
bool is_valid_crossing(const Unit& unit, uint32_t at) {
    const size_t end = at < unit.cold_at ? unit.cold_at : unit.host.size();
    return at <= end && end - at >= kCrossingBytes;
}

bool is_valid(const Unit& unit) {
    const auto is_crossing = [&](uint32_t at) { return is_valid_crossing(unit, at); };
    if (unit.cold_at > unit.host.size() || !std::ranges::all_of(unit.crossings, is_crossing)) return false;
    size_t guest_bytes = 0;
    for (const Part& part : unit.parts) {
        if (!is_valid(part, unit.host.size())) return false;
        guest_bytes += part.bytes;
    }
    const bool has_start = std::ranges::any_of(unit.parts, [&](const Part& part) { return part.offset == unit.start; });
    return has_start && guest_bytes == unit.guest.size() && (unit.is_loop || unit.parts.size() == 1);
}

}  // namespace

bool is_code_of(const Unit& unit, std::span<const uint8_t> page) {
    size_t at = 0;
    for (const Part& part : unit.parts) {
        if (std::memcmp(&unit.guest[at], &page[part.offset], part.bytes) != 0) return false;
        at += part.bytes;
    }
    return true;
}

uint64_t key_of(const Unit& unit) {
    Unit source = unit;
    source.host.clear();
    source.cold_at = 0;
    source.crossings.clear();
    for (Part& part : source.parts) part.entry = 0;
    return hash64(encode(source));
}

std::vector<uint8_t> encode(const Unit& unit) {
    std::vector<uint8_t> bytes(kHeadBytes + unit.parts.size() * kPartBytes);
    bytes[0] = unit.is_loop ? 1 : 0;
    bytes[1] = unit.mode;
    store_le<uint16_t>(&bytes[2], unit.start);
    store_le<uint32_t>(&bytes[4], static_cast<uint32_t>(unit.parts.size()));
    store_le<uint32_t>(&bytes[8], static_cast<uint32_t>(unit.guest.size()));
    store_le<uint32_t>(&bytes[12], static_cast<uint32_t>(unit.host.size()));
    store_le<uint32_t>(&bytes[16], unit.cold_at);
    store_le<uint32_t>(&bytes[20], static_cast<uint32_t>(unit.crossings.size()));
    uint8_t* to = bytes.data() + kHeadBytes;
    for (const Part& part : unit.parts) {
        store_le<uint16_t>(to, part.offset);
        store_le<uint16_t>(to + 2, part.bytes);
        store_le<uint32_t>(to + 4, part.entry);
        to += kPartBytes;
    }
    bytes.insert(bytes.end(), unit.guest.begin(), unit.guest.end());
    bytes.insert(bytes.end(), unit.host.begin(), unit.host.end());
    for (const uint32_t at : unit.crossings) {
        bytes.resize(bytes.size() + kCrossingBytes);
        store_le(&bytes[bytes.size() - kCrossingBytes], at);
    }
    return bytes;
}

std::optional<Unit> decode(std::span<const uint8_t> bytes) {
    Unit unit;
    if (!decode_into(bytes, unit)) return std::nullopt;
    return unit;
}

bool decode_into(std::span<const uint8_t> bytes, Unit& unit) {
    if (bytes.size() < kHeadBytes || bytes[0] > 1) return false;
    const auto parts = load_le<uint32_t>(&bytes[4]);
    const auto guest_bytes = load_le<uint32_t>(&bytes[8]);
    const auto host_bytes = load_le<uint32_t>(&bytes[12]);
    const auto crossings = load_le<uint32_t>(&bytes[20]);
    if (crossings > host_bytes / kCrossingBytes || parts > kMaxParts || guest_bytes > kMaxParts * kPageBytes ||
        host_bytes > kMaxHostBytes)
        return false;
    if (bytes.size() != kHeadBytes + parts * kPartBytes + guest_bytes + host_bytes + crossings * kCrossingBytes) {
        return false;
    }
    unit.is_loop = bytes[0] == 1;
    unit.mode = bytes[1];
    unit.start = load_le<uint16_t>(&bytes[2]);
    unit.cold_at = load_le<uint32_t>(&bytes[16]);
    unit.parts.clear();
    unit.crossings.clear();
    bytes = bytes.subspan(kHeadBytes);
    for (uint32_t i = 0; i < parts; i++, bytes = bytes.subspan(kPartBytes)) {
        unit.parts.push_back(
            {load_le<uint16_t>(&bytes[0]), load_le<uint16_t>(&bytes[2]), load_le<uint32_t>(&bytes[4])});
    }
    unit.guest.assign(bytes.begin(), bytes.begin() + guest_bytes);
    bytes = bytes.subspan(guest_bytes);
    unit.host.assign(bytes.begin(), bytes.begin() + host_bytes);
    bytes = bytes.subspan(host_bytes);
    for (; !bytes.empty(); bytes = bytes.subspan(kCrossingBytes))
        unit.crossings.push_back(load_le<uint32_t>(&bytes[0]));
    return is_valid(unit);
}

}  // namespace doppel::stored_code
