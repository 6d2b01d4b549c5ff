#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/byte_order.h"
#include "storage/qcow2/checker.h"
#include "storage/qcow2/refcounts.h"

namespace doppel::storage::qcow2 {

// Counts the table and its blocks, too, unless they are beyond mending and made anew.
Task<Status> Checker::load_refcount_table() {
    const Geometry& g = geometry();
    const uint64_t bytes = uint64_t{header_.refcount_table_clusters} << g.cluster_bits;
    if (!inside(header_.refcount_table_offset, bytes)) {
        found_corruption(fixing(), "the refcount table lies behind the file's end");
        rebuild_ = true;
        co_return kOk;
    }
    DOPPEL_STORAGE_CHECK(co_await read_words(header_.refcount_table_offset, bytes / 8, refcount_table_));
    count_range(header_.refcount_table_offset, bytes, "the refcount table");
    table_counted_ = true;
    for (uint64_t i = 0; i < refcount_table_.size(); i++) {
        const uint64_t block = refcount_table_[i];
        if (block == 0) continue;
        // One that is there twice, or where something else is, cannot be trusted: it could take time without end, too.
        if ((block & ~kRefcountOffsetMask) == 0 && g.offset_in_cluster(block) == 0 && inside(block, g.cluster_size()) &&
            counts_.get(cluster_of(block)) == 0 && blocks_.insert(cluster_of(block)).second)
            continue;
        found_corruption(fixing(), fmt::format("refcount block {} is at no valid place", i));
        refcount_table_[i] = 0;
        rebuild_ = true;
    }
    if (rebuild_ && fixing())
        blocks_.clear();
    else
        for (const uint64_t block : blocks_) counts_.add(block, 1);
    co_return kOk;
}

Task<Status> Checker::compare_refcounts() {
    for (uint64_t i = 0; i < refcount_table_.size(); i++) {
        if (refcount_table_[i] != 0) DOPPEL_STORAGE_CHECK(co_await compare_block(i));
    }
    compare_uncovered();
    if (!rebuild_ || !fixing()) co_return kOk;
    // Something is in use that has no refcount.
    co_return co_await rebuild_refcounts();
}

Task<Status> Checker::compare_block(uint64_t index) {
    const Geometry& g = geometry();
    std::vector<uint8_t> block(g.cluster_size());
    const uint64_t offset = refcount_table_[index];
    const uint64_t there = std::min<uint64_t>(block.size(), file_.size() > offset ? file_.size() - offset : 0);
    if (there > 0) DOPPEL_STORAGE_CHECK(co_await file_.read(offset, Buffers(std::span(block).first(there))));
    bool changed = false;
    for (uint64_t n = 0; n < g.block_entries(); n++) {
        const uint64_t cluster = (index << g.block_bits()) + n;
        const uint64_t stored = get_refcount(block.data(), n, g.refcount_order), counted = counts_.get(cluster);
        if (stored == counted) continue;
        if (stored > counted) {
            const bool fixed = repair_ != Repair::kNothing;
            found_leak(fixed, 1, fmt::format("cluster {} has the refcount {}, but {} uses", cluster, stored, counted));
            if (!fixed) continue;
        } else {
            const bool fixed = fixing() && counted <= g.max_refcount();
            found_corruption(fixed,
                             fmt::format("cluster {} has the refcount {}, but {} uses", cluster, stored, counted));
            if (!fixed) continue;
        }
        set_refcount(block.data(), n, g.refcount_order, counted);
        changed = true;
    }
    if (!changed) co_return kOk;
    co_return co_await file_.write(offset, Buffers(std::span(block)));
}

void Checker::compare_uncovered() {
    const Geometry& g = geometry();
    for (const auto& [number, page] : counts_.pages()) {
        for (uint64_t i = 0; i < ReferenceCounts::kPerPage; i++) {
            const uint64_t cluster = number * ReferenceCounts::kPerPage + i;
            const uint64_t index = cluster >> g.block_bits();
            if (page[i] == 0 || (index < refcount_table_.size() && refcount_table_[index] != 0)) continue;
            found_corruption(fixing(), fmt::format("cluster {} has no refcount, but {} uses", cluster, page[i]));
            rebuild_ = true;
        }
    }
}

// A new table and new blocks behind everything that is in use; the old ones become free.
Task<Status> Checker::rebuild_refcounts() {
    const Geometry& g = geometry();
    // Without what the old table and its blocks take.
    ReferenceCounts counts = counts_;
    if (table_counted_) {
        ReferenceCounts without;
        const uint64_t first = cluster_of(header_.refcount_table_offset);
        for (const auto& [number, page] : counts_.pages()) {
            for (uint64_t i = 0; i < ReferenceCounts::kPerPage; i++) {
                const uint64_t cluster = number * ReferenceCounts::kPerPage + i;
                uint64_t times = page[i];
                if (times > 0 && cluster >= first && cluster < first + header_.refcount_table_clusters) times--;
                if (times > 0 && blocks_.contains(cluster)) times--;
                if (times > 0) without.add(cluster, times);
            }
        }
        counts = std::move(without);
    }
    const uint64_t start = std::max(counts.end(), cluster_of(file_end_));
    uint64_t blocks = 0, table_clusters = 0, end = start;
    do {
        blocks++;
        table_clusters = g.clusters(((end >> g.block_bits()) + 2) * 8);
        end = start + table_clusters + blocks;
    } while (blocks <= (end - 1) >> g.block_bits());
    if (table_clusters << g.cluster_bits > kMaxRefcountTableBytes) co_return Status(EFBIG);
    for (uint64_t c = start; c < end; c++) counts.add(c, 1);

    std::vector<uint8_t> table(table_clusters << g.cluster_bits), block(g.cluster_size());
    if (file_.grows()) DOPPEL_STORAGE_CHECK(file_.extend(end << g.cluster_bits));
    for (uint64_t i = 0; i < blocks; i++) {
        std::ranges::fill(block, uint8_t{0});
        for (uint64_t n = 0; n < g.block_entries(); n++) {
            const uint64_t count = counts.get((i << g.block_bits()) + n);
            set_refcount(block.data(), n, g.refcount_order, std::min(count, g.max_refcount()));
        }
        const uint64_t offset = (start + table_clusters + i) << g.cluster_bits;
        store_be<uint64_t>(&table[i * 8], offset);
        DOPPEL_STORAGE_CHECK(co_await file_.write(offset, Buffers(std::span(block))));
    }
    DOPPEL_STORAGE_CHECK(co_await file_.write(start << g.cluster_bits, Buffers(std::span(table))));
    DOPPEL_STORAGE_CHECK(co_await file_.flush());
    header_.refcount_table_offset = start << g.cluster_bits;
    header_.refcount_table_clusters = static_cast<uint32_t>(table_clusters);
    const auto fields = encode_changing_fields(header_);
    DOPPEL_STORAGE_CHECK(co_await file_.write(0, Buffers(std::span(fields))));
    DOPPEL_STORAGE_CHECK(co_await file_.flush());
    counts_ = std::move(counts);
    refcount_table_.resize(table.size() / 8);
    for (size_t i = 0; i < refcount_table_.size(); i++) refcount_table_[i] = load_be<uint64_t>(&table[i * 8]);
    co_return kOk;
}

// As the refcounts say that are in the file, after repairs.
Task<Status> Checker::stored_count(uint64_t cluster, uint64_t& count) {
    const Geometry& g = geometry();
    const uint64_t index = cluster >> g.block_bits();
    count = 0;
    if (index >= refcount_table_.size() || refcount_table_[index] == 0) co_return kOk;
    if (block_index_ != index) {
        block_.resize(g.cluster_size());
        std::ranges::fill(block_, uint8_t{0});
        const uint64_t offset = refcount_table_[index];
        const uint64_t there = std::min<uint64_t>(block_.size(), file_.size() > offset ? file_.size() - offset : 0);
        if (there > 0) DOPPEL_STORAGE_CHECK(co_await file_.read(offset, Buffers(std::span(block_).first(there))));
        block_index_ = index;
    }
    count = get_refcount(block_.data(), cluster & (g.block_entries() - 1), g.refcount_order);
    co_return kOk;
}

// Bit 63 says, in the active tables, that a refcount is exactly one.
Task<Status> Checker::check_copied() {
    if (!inside(header_.l1_offset, uint64_t{header_.l1_entries} * 8)) co_return kOk;
    std::vector<uint64_t> l1;
    DOPPEL_STORAGE_CHECK(co_await read_words(header_.l1_offset, header_.l1_entries, l1));
    for (uint64_t i = 0; i < l1.size(); i++) {
        if ((l1[i] & kOffsetMask) == 0 || !tables_.contains(l1[i] & kOffsetMask)) continue;
        DOPPEL_STORAGE_CHECK(co_await check_copied_table(i, l1[i]));
    }
    co_return kOk;
}

Task<Status> Checker::check_copied_table(uint64_t l1_index, uint64_t l1_entry) {
    const Geometry& g = geometry();
    const uint64_t table = l1_entry & kOffsetMask;
    uint64_t count = 0;
    DOPPEL_STORAGE_CHECK(co_await stored_count(cluster_of(table), count));
    if (((l1_entry & kCopied) != 0) != (count == 1)) {
        found_corruption(fixing(), fmt::format("entry {} of the L1 table has a wrong flag", l1_index));
        if (fixing()) {
            std::array<uint8_t, 8> raw{};
            store_be<uint64_t>(raw.data(), l1_entry ^ kCopied);
            DOPPEL_STORAGE_CHECK(co_await file_.write(header_.l1_offset + l1_index * 8, Buffers(std::span(raw))));
        }
    }
    if (header_.external()) co_return kOk;
    // A table that is used twice is looked at once.
    const auto guest = guest_of_table_.find(table);
    if (guest == guest_of_table_.end() || guest->second != l1_index << g.l2_bits()) co_return kOk;
    std::vector<uint8_t> raw(g.cluster_size());
    const uint64_t there = std::min<uint64_t>(raw.size(), file_.size() > table ? file_.size() - table : 0);
    if (there > 0) DOPPEL_STORAGE_CHECK(co_await file_.read(table, Buffers(std::span(raw).first(there))));
    bool changed = false;
    for (uint64_t i = 0; i < g.l2_entries(); i++) {
        uint8_t* at = &raw[i * g.entry_size()];
        auto entry = decode_entry(at, g, false);
        if (!entry || !entry->has_host || entry->compressed != 0) continue;
        DOPPEL_STORAGE_CHECK(co_await stored_count(cluster_of(entry->host), count));
        if (entry->copied == (count == 1)) continue;
        found_corruption(fixing(), fmt::format("entry {} of the L2 table at {:#x} has a wrong flag", i, table));
        if (!fixing()) continue;
        entry->copied = count == 1;
        encode_entry(at, *entry, g);
        changed = true;
    }
    if (!changed) co_return kOk;
    co_return co_await file_.write(table, Buffers(std::span(raw)));
}

Task<Status> Checker::clear_flags() {
    const uint64_t clean = header_.incompatible & ~(incompatible::kDirty | incompatible::kCorrupt);
    if (clean == header_.incompatible) co_return kOk;
    header_.incompatible = clean;
    const auto fields = encode_changing_fields(header_);
    DOPPEL_STORAGE_CHECK(co_await file_.write(0, Buffers(std::span(fields))));
    co_return co_await file_.flush();
}

}  // namespace doppel::storage::qcow2
