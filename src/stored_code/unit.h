// Translated code as it lies on disk: the guest code that it was made from, and what became of it. Plain data: what
// guest and host code mean is the translator's affair.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace doppel::stored_code {

inline constexpr size_t kPageBytes = 4096;  // a guest page; no unit is made from more than one

// A block of guest code.
struct Part {
    uint16_t offset;  // in its page
    uint16_t bytes;
    uint32_t entry = 0;  // offset in the host code
    bool operator==(const Part&) const = default;
};

// What was translated at once: a block, or the blocks of a loop.
struct Unit {
    bool is_loop = false;
    uint8_t mode = 0;                 // what the translation presumes of the hart besides the code
    uint16_t start = 0;               // the offset of the part that the translation was asked for
    std::vector<Part> parts;          // at least one; a block's only one
    std::vector<uint8_t> guest;       // the code of all parts, one behind the other
    std::vector<uint8_t> host;        // empty: not translated yet
    uint32_t cold_at = 0;             // where the part of `host` begins that is rarely executed
    std::vector<uint32_t> crossings;  // 4-byte distances in `host` from one part to the other
    bool operator==(const Unit&) const = default;
};

inline constexpr size_t kMaxParts = 64;
inline constexpr size_t kMaxHostBytes = 1 << 20;

// Whether `page` (kPageBytes) holds the code of all parts.
bool is_code_of(const Unit& unit, std::span<const uint8_t> page);

// Names what a unit was made from.
uint64_t key_of(const Unit& unit);

// The bytes of a unit, in a file and on the way there:
//     u8 loop, u8 mode, u16 start, u32 parts, u32 guest bytes, u32 host bytes,
//     u32 cold part at, u32 crossings, parts * {u16 offset, u16 bytes, u32 entry}, guest code, host code,
//     crossings * u32; little-endian.
std::vector<uint8_t> encode(const Unit& unit);
// Exactly one unit that keeps all rules of Unit; nullopt: it is none. `bytes` are untrusted.
std::optional<Unit> decode(std::span<const uint8_t> bytes);
// The same into a unit whose memory is used again; false: it holds nothing of use then.
bool decode_into(std::span<const uint8_t> bytes, Unit& unit);

}  // namespace doppel::stored_code
