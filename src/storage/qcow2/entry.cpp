#include "storage/qcow2/entry.h"

namespace doppel::storage::qcow2 {

namespace {

Entry decode_compressed(uint64_t word, const Geometry& geometry) {
    // Compressed Clusters Descriptor: x bits of offset, then the number of further 512-byte sectors.
    const uint32_t offset_bits = 62 - (geometry.cluster_bits - 8);
    const uint64_t sectors = (word & ~(kCompressedFlag | kCopied)) >> offset_bits;
    Entry entry;
    entry.has_host = true;
    entry.host = word & ((uint64_t{1} << offset_bits) - 1);
    entry.compressed = (sectors + 1) * 512 - (entry.host & 511);
    return entry;
}

}  // namespace

std::optional<Entry> decode_entry(const uint8_t* at, const Geometry& geometry, bool external) {
    const uint64_t word = load_be<uint64_t>(at);
    const uint64_t bitmap = geometry.extended ? load_be<uint64_t>(at + 8) : 0;
    if ((word & kCompressedFlag) != 0) {
        if (external) return std::nullopt;
        Entry entry = decode_compressed(word, geometry);
        if (entry.host >> 56 != 0) return std::nullopt;
        return entry;
    }
    Entry entry;
    entry.host = word & kOffsetMask;
    entry.copied = (word & kCopied) != 0;
    entry.has_host = entry.host != 0 || (external && entry.copied);
    if (geometry.offset_in_cluster(entry.host) != 0 || (word & kL2Reserved) != 0) return std::nullopt;
    if (geometry.extended) {
        entry.data = static_cast<uint32_t>(bitmap);
        entry.zero = static_cast<uint32_t>(bitmap >> 32);
        if ((entry.data & entry.zero) != 0 || (entry.data != 0 && !entry.has_host)) return std::nullopt;
        if ((word & kReadsAsZero) != 0) return std::nullopt;
    } else {
        entry.zero = (word & kReadsAsZero) != 0 ? 1 : 0;
        entry.data = entry.has_host && entry.zero == 0 ? 1 : 0;
    }
    return entry;
}

void encode_entry(uint8_t* to, const Entry& entry, const Geometry& geometry) {
    uint64_t word = 0, bitmap = 0;
    if (entry.compressed != 0) {
        const uint32_t offset_bits = 62 - (geometry.cluster_bits - 8);
        const uint64_t sectors = ((entry.host & 511) + entry.compressed + 511) / 512 - 1;
        word = kCompressedFlag | sectors << offset_bits | entry.host;
    } else {
        word = entry.host | (entry.copied ? kCopied : 0);
        bitmap = uint64_t{entry.zero} << 32 | entry.data;
        if (!geometry.extended && entry.zero != 0) word |= kReadsAsZero;
    }
    store_be<uint64_t>(to, word);
    if (geometry.extended) store_be<uint64_t>(to + 8, bitmap);
}

}  // namespace doppel::storage::qcow2
