// Clusters, compressed and back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/qcow2/format.h"

namespace doppel::storage::qcow2 {

// False unless `from` begins with exactly as much data as `to` takes. Thread-safe, as the other.
bool decompress(Compression kind, std::span<const uint8_t> from, std::span<uint8_t> to);
// Empty where that would not be smaller.
std::vector<uint8_t> compress(Compression kind, std::span<const uint8_t> from);

}  // namespace doppel::storage::qcow2
