// One entry of an L2 table: where a guest cluster is. Without extended entries a cluster is its own only subcluster, so
// that everything else knows one form.
#pragma once

#include <cstdint>
#include <optional>

#include "base/byte_order.h"
#include "storage/qcow2/format.h"

namespace doppel::storage::qcow2 {

struct Entry {
    uint64_t host = 0;        // the cluster's offset in the file, or the first byte of compressed data
    uint64_t compressed = 0;  // bytes of compressed data at most; 0: it is not compressed
    bool copied = false;      // the refcount is exactly one
    uint32_t data = 0;        // subclusters that lie at `host`
    uint32_t zero = 0;        // subclusters that read as zeroes
    bool has_host = false;    // an offset of 0 is one in an external data file

    bool operator==(const Entry&) const = default;
};

// Nothing where the entry breaks the specification. `external`: the data is in a file of its own.
std::optional<Entry> decode_entry(const uint8_t* at, const Geometry& geometry, bool external);
void encode_entry(uint8_t* to, const Entry& entry, const Geometry& geometry);

}  // namespace doppel::storage::qcow2
