#include "storage/qcow2/create.h"

#include <fmt/format.h>

#include <bit>

#include "base/byte_order.h"
#include "storage/qcow2/header.h"
#include "storage/qcow2/refcounts.h"

namespace doppel::storage::qcow2 {

namespace {

Header header_of(const CreateOptions& options) {
    Header h;
    h.version = options.version;
    h.size = options.size;
    h.geometry.cluster_bits = static_cast<uint32_t>(std::countr_zero(options.cluster_size));
    h.geometry.refcount_order = static_cast<uint32_t>(std::countr_zero(options.refcount_bits));
    h.geometry.extended = options.extended_l2;
    h.compression = options.compression;
    h.backing_file = options.backing_file;
    h.backing_format = options.backing_format;
    h.data_file = options.data_file;
    if (options.version == 2) return h;
    // compression_type, and padding to a multiple of 8.
    h.header_size = kHeaderSizeV3 + 8;
    h.unknown_fields.resize(7);
    if (options.lazy_refcounts) h.compatible |= compatible::kLazyRefcounts;
    if (options.extended_l2) h.incompatible |= incompatible::kExtendedL2;
    if (options.compression != Compression::kDeflate) h.incompatible |= incompatible::kCompressionType;
    if (options.data_file) h.incompatible |= incompatible::kExternalData;
    if (options.raw_data_file) h.autoclear |= autoclear::kRawExternal;
    return h;
}

// Clusters in this order: header, refcount table, refcount blocks, L1 table. The table is large enough for the whole
// disk, so that it need not move.
struct Layout {
    uint64_t table_clusters, blocks, l1_clusters;
    explicit Layout(const Header& h) {
        const Geometry& g = h.geometry;
        l1_clusters = g.clusters(g.l1_entries(h.size) * 8);
        const uint64_t most = 2 * g.clusters(h.size) + g.l1_entries(h.size) + l1_clusters + 64;
        const uint64_t wanted = g.clusters((most >> g.block_bits()) * 8 + 8);
        table_clusters = std::min(wanted, kMaxRefcountTableBytes >> g.cluster_bits);
        blocks = 1;
        while (blocks << g.block_bits() < used()) blocks++;
    }
    uint64_t used() const { return 1 + table_clusters + blocks + l1_clusters; }
};

}  // namespace

Result<> check_options(const CreateOptions& o) {
    auto refuse = [](std::string what, std::string why, std::string cure = "") {
        return fail(Error::usage(std::move(what), std::move(why), std::move(cure)));
    };
    if (o.version != 2 && o.version != 3) return refuse("compat", "qcow2 has versions 2 (0.10) and 3 (1.1)");
    if (!std::has_single_bit(o.cluster_size) || o.cluster_size < 512 || o.cluster_size > 2 << 20)
        return refuse("cluster_size", "it is a power of two from 512 to 2M");
    if (!std::has_single_bit(o.refcount_bits) || o.refcount_bits > 64)
        return refuse("refcount_bits", "it is a power of two up to 64");
    if (o.version == 2 && (o.refcount_bits != 16 || o.lazy_refcounts || o.extended_l2 || o.data_file ||
                           o.compression != Compression::kDeflate))
        return refuse("compat", "version 2 has none of the newer features", "take compat=1.1");
    if (o.extended_l2 && o.cluster_size < 16384)
        return refuse("extended_l2", "it takes clusters of at least 16K", "give a larger cluster_size");
    if (o.raw_data_file && (!o.data_file || o.backing_file))
        return refuse("data_file_raw", "it takes a data file and no backing file");
    const Header header = header_of(o);
    if (o.size > INT64_MAX || header.geometry.l1_entries(o.size) > kMaxL1Bytes / 8)
        return refuse("size", fmt::format("clusters of {} bytes cannot make so large a disk", o.cluster_size),
                      "give a larger cluster_size");
    return {};
}

Task<Result<>> create(BlockDevice& file, CreateOptions options) {
    if (auto possible = check_options(options); !possible) co_return possible;
    Header header = header_of(options);
    const Geometry& g = header.geometry;
    const Layout layout(header);
    header.refcount_table_offset = g.cluster_size();
    header.refcount_table_clusters = static_cast<uint32_t>(layout.table_clusters);
    const uint64_t blocks_offset = header.refcount_table_offset + (layout.table_clusters << g.cluster_bits);
    header.l1_entries = static_cast<uint32_t>(g.l1_entries(header.size));
    header.l1_offset = blocks_offset + (layout.blocks << g.cluster_bits);
    auto first_cluster = encode_header(header, file.name());
    if (!first_cluster) co_return fail(std::move(first_cluster).error());

    std::vector<uint8_t> raw(header.l1_offset - header.refcount_table_offset);
    for (uint64_t i = 0; i < layout.blocks; i++) {
        store_be<uint64_t>(&raw[i * 8], blocks_offset + (i << g.cluster_bits));
        uint8_t* block = &raw[(layout.table_clusters + i) << g.cluster_bits];
        for (uint64_t n = 0; n < g.block_entries() && (i << g.block_bits()) + n < layout.used(); n++)
            set_refcount(block, n, g.refcount_order, 1);
    }
    Status status = file.extend(layout.used() << g.cluster_bits);
    if (status.ok()) status = co_await file.write(header.refcount_table_offset, Buffers(std::span(raw)));
    if (status.ok() && layout.l1_clusters > 0)
        status = co_await file.write_zeroes(header.l1_offset, layout.l1_clusters << g.cluster_bits, false);
    // The header at last: a disk whose making was interrupted is none.
    if (status.ok()) status = co_await file.flush();
    if (status.ok()) status = co_await file.write(0, Buffers(std::span(*first_cluster)));
    if (status.ok()) status = co_await file.flush();
    co_return status.result("create qcow2 disk", file.name());
}

}  // namespace doppel::storage::qcow2
