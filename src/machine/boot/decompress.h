// Compressed files, recognised by content and unpacked in memory with a bound.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

enum class Compression { kGzip, kZstd, kXz, kLzma };

std::string_view name_of(Compression compression);

// By the magic number at the front: gzip (RFC 1952), zstd (RFC 8878), xz (xz-file-format.txt 2.1.1.1), LZMA_Alone.
std::optional<Compression> detect_compression(std::span<const uint8_t> file);

// Unpacks `file`, all of its members when several follow one another; what stands behind the last one is ignored, as
// padding. No size field inside is believed. More than `limit` bytes, a damaged or an unfinished stream are errors.
Result<std::vector<uint8_t>> decompress(std::span<const uint8_t> file, Compression compression, uint64_t limit,
                                        const Origin& origin);

}  // namespace doppel::machine::boot
