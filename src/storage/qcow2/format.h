// The numbers of the qcow2 format, from its specification (QEMU, docs/interop/qcow2.rst). Everything is big-endian.
#pragma once

#include <cstdint>

namespace doppel::storage::qcow2 {

inline constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"

inline constexpr uint32_t kMinClusterBits = 9, kMaxClusterBits = 21;  // the latter QEMU's limit, and ours
inline constexpr uint32_t kMinExtendedClusterBits = 14;
inline constexpr uint64_t kMaxL1Bytes = 32 << 20;  // QEMU's limits, and ours
inline constexpr uint64_t kMaxRefcountTableBytes = 8 << 20;
inline constexpr uint32_t kMaxSnapshots = 65536, kMaxBitmaps = 65535;
inline constexpr uint32_t kMaxBackingName = 1023;

inline constexpr uint32_t kHeaderSizeV2 = 72, kHeaderSizeV3 = 104;

namespace incompatible {
inline constexpr uint64_t kDirty = 1, kCorrupt = 2, kExternalData = 4, kCompressionType = 8, kExtendedL2 = 16;
inline constexpr uint64_t kKnown = 31;
}  // namespace incompatible
namespace compatible {
inline constexpr uint64_t kLazyRefcounts = 1;
}
namespace autoclear {
inline constexpr uint64_t kBitmaps = 1, kRawExternal = 2;
}

namespace extension {
inline constexpr uint32_t kEnd = 0, kBackingFormat = 0xe2792aca, kFeatureNames = 0x6803f857, kBitmaps = 0x23852875,
                          kEncryption = 0x0537be77, kDataFile = 0x44415441;
}

enum class Compression : uint8_t { kDeflate = 0, kZstd = 1 };

// Table entries.
inline constexpr uint64_t kOffsetMask = 0x00fffffffffffe00;      // bits 9-55
inline constexpr uint64_t kRefcountOffsetMask = ~uint64_t{511};  // bits 9-63
inline constexpr uint64_t kCopied = uint64_t{1} << 63;
inline constexpr uint64_t kCompressedFlag = uint64_t{1} << 62;
inline constexpr uint64_t kReadsAsZero = 1;
inline constexpr uint64_t kL1Reserved = ~(kOffsetMask | kCopied);
inline constexpr uint64_t kL2Reserved = ~(kOffsetMask | kCopied | kCompressedFlag | kReadsAsZero);

// What follows from the header alone.
struct Geometry {
    uint32_t cluster_bits = 16;
    uint32_t refcount_order = 4;
    bool extended = false;

    uint64_t cluster_size() const { return uint64_t{1} << cluster_bits; }
    uint64_t offset_in_cluster(uint64_t offset) const { return offset & (cluster_size() - 1); }
    uint64_t clusters(uint64_t bytes) const {  // rounded up
        return (bytes >> cluster_bits) + (offset_in_cluster(bytes) != 0);
    }
    uint32_t entry_size() const { return extended ? 16 : 8; }
    uint32_t l2_bits() const { return cluster_bits - (extended ? 4 : 3); }
    uint64_t l2_entries() const { return uint64_t{1} << l2_bits(); }
    uint64_t bytes_per_l2() const { return uint64_t{1} << (cluster_bits + l2_bits()); }
    uint64_t l1_entries(uint64_t size) const {
        return (size >> (cluster_bits + l2_bits())) + ((size & (bytes_per_l2() - 1)) != 0);
    }
    uint32_t refcount_bits() const { return 1u << refcount_order; }
    uint64_t max_refcount() const { return refcount_order == 6 ? UINT64_MAX : (uint64_t{1} << refcount_bits()) - 1; }
    uint32_t block_bits() const { return cluster_bits + 3 - refcount_order; }
    uint64_t block_entries() const { return uint64_t{1} << block_bits(); }  // clusters that a refcount block covers
    uint32_t subclusters() const { return extended ? 32 : 1; }
    uint32_t subcluster_bits() const { return extended ? cluster_bits - 5 : cluster_bits; }
    uint64_t subcluster_size() const { return uint64_t{1} << subcluster_bits(); }
    uint32_t all_subclusters() const { return extended ? UINT32_MAX : 1; }
};

}  // namespace doppel::storage::qcow2
