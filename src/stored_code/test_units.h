// For tests: pages, and units that are made from them.
#pragma once

#include <array>
#include <vector>

#include "stored_code/unit.h"

namespace doppel::stored_code {

using Page = std::array<uint8_t, kPageBytes>;

// A page whose content depends on `seed` everywhere.
inline Page test_page(uint32_t seed) {
    Page page;
    uint32_t state = seed * 2654435761u + 1;
    for (uint8_t& byte : page) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(state >> 24);
    }
    return page;
}

// Of `page`: a loop when there is more than one part. The host code depends on the first part.
inline Unit test_unit(const Page& page, std::vector<Part> parts, uint8_t mode = 1) {
    Unit unit;
    unit.is_loop = parts.size() > 1;
    unit.mode = mode;
    unit.start = parts.front().offset;
    uint32_t entry = 0;
    for (Part& part : parts) {
        part.entry = entry;
        entry += 8;
        for (size_t i = 0; i < part.bytes; i++) unit.guest.push_back(page[part.offset + i]);
    }
    unit.host.assign(entry + 5, static_cast<uint8_t>(parts.front().offset));
    unit.parts = std::move(parts);
    unit.cold_at = 5;
    unit.crossings = {1, 8};
    return unit;
}

// Blocks of eight bytes, from the beginning of `page`.
inline std::vector<Unit> test_units(const Page& page, size_t count) {
    std::vector<Unit> units;
    for (size_t i = 0; i < count; i++) units.push_back(test_unit(page, {{static_cast<uint16_t>(8 * i), 8}}));
    return units;
}

}  // namespace doppel::stored_code
