#include "storage/qcow2/refcounts.h"

#include <algorithm>

#include "base/byte_order.h"

namespace doppel::storage::qcow2 {

std::vector<SectorCopy> copy_sectors(const std::vector<uint64_t>& table, const std::set<uint64_t>& sectors) {
    std::vector<SectorCopy> copies;
    for (const uint64_t sector : sectors) {
        const uint64_t first = sector * kEntriesPerSector;
        const uint64_t count = std::min<uint64_t>(kEntriesPerSector, table.size() - first);
        SectorCopy copy{sector, std::vector<uint8_t>(count * 8)};
        for (uint64_t i = 0; i < count; i++) store_be<uint64_t>(&copy.bytes[i * 8], table[first + i]);
        copies.push_back(std::move(copy));
    }
    return copies;
}

uint64_t get_refcount(const uint8_t* block, uint64_t n, uint32_t order) {
    switch (order) {
        case 3:
            return block[n];
        case 4:
            return load_be<uint16_t>(block + n * 2);
        case 5:
            return load_be<uint32_t>(block + n * 4);
        case 6:
            return load_be<uint64_t>(block + n * 8);
        default: {  // parts of a byte, the least significant bits first
            const uint32_t bits = 1u << order;
            return block[n * bits / 8] >> (n * bits % 8) & ((1u << bits) - 1);
        }
    }
}

void set_refcount(uint8_t* block, uint64_t n, uint32_t order, uint64_t value) {
    switch (order) {
        case 3:
            block[n] = static_cast<uint8_t>(value);
            return;
        case 4:
            store_be<uint16_t>(block + n * 2, static_cast<uint16_t>(value));
            return;
        case 5:
            store_be<uint32_t>(block + n * 4, static_cast<uint32_t>(value));
            return;
        case 6:
            store_be<uint64_t>(block + n * 8, value);
            return;
        default: {
            const uint32_t bits = 1u << order, shift = static_cast<uint32_t>(n * bits % 8);
            uint8_t& byte = block[n * bits / 8];
            byte = static_cast<uint8_t>((byte & ~(((1u << bits) - 1) << shift)) | value << shift);
        }
    }
}

bool overlaps_tables(const Header& header, uint64_t offset, uint64_t length) {
    auto meets = [&](uint64_t start, uint64_t bytes) { return offset < start + bytes && start < offset + length; };
    return meets(0, header.geometry.cluster_size()) || meets(header.l1_offset, uint64_t{header.l1_entries} * 8) ||
           meets(header.refcount_table_offset,
                 uint64_t{header.refcount_table_clusters} << header.geometry.cluster_bits);
}

Refcounts::Refcounts(BlockDevice& file, Header& header, size_t cached_slices)
    : file_(file),
      header_(header),
      cache_(file, static_cast<uint32_t>(std::min<uint64_t>(header.geometry.cluster_size(), 4096)), cached_slices) {}

bool Refcounts::valid_block(uint64_t entry) const {
    return (entry & ~kRefcountOffsetMask) == 0 && geometry().offset_in_cluster(entry) == 0 &&
           entry <= INT64_MAX - geometry().cluster_size();
}

Task<Status> Refcounts::load(bool for_writing) {
    const uint64_t bytes = uint64_t{header_.refcount_table_clusters} << geometry().cluster_bits;
    const uint64_t offset = header_.refcount_table_offset;
    // A table that lies mostly behind the file's end would take memory for nothing.
    if (offset > file_.size() || bytes > file_.size() - offset + geometry().cluster_size()) co_return kIoError;
    std::vector<uint8_t> raw(bytes);
    DOPPEL_STORAGE_CHECK(co_await file_.read(offset, Buffers(std::span(raw))));
    table_.resize(bytes / 8);
    for (size_t i = 0; i < table_.size(); i++) table_[i] = load_be<uint64_t>(&raw[i * 8]);
    if (!for_writing) co_return kOk;
    std::vector<uint64_t> blocks;
    for (const uint64_t entry : table_) {
        if (entry == 0) continue;
        if (!valid_block(entry) || entry >= file_.size()) co_return kIoError;
        blocks.push_back(entry);
    }
    std::ranges::sort(blocks);
    co_return std::ranges::adjacent_find(blocks) == blocks.end() ? kOk : kIoError;
}

// Of a cluster whose block is there.
Refcounts::Place Refcounts::place_of(uint64_t cluster) const {
    const uint64_t index = cluster & (geometry().block_entries() - 1);
    const uint64_t slice = index / per_slice();
    return {(table_[cluster >> geometry().block_bits()] & kRefcountOffsetMask) + slice * cache_.slice_size(),
            cluster - index + slice * per_slice()};
}

Task<Status> Refcounts::load_slice(Place place) {
    while (cache_.find(place.offset) == nullptr) DOPPEL_STORAGE_CHECK(co_await cache_.load(place.offset));
    co_return kOk;
}

Task<Status> Refcounts::get(uint64_t cluster, uint64_t& count) {
    count = 0;
    const uint64_t index = cluster >> geometry().block_bits();
    if (index >= table_.size() || table_[index] == 0) co_return kOk;
    if (!valid_block(table_[index])) co_return kIoError;
    const Place place = place_of(cluster);
    DOPPEL_STORAGE_CHECK(co_await load_slice(place));
    count = get_refcount(cache_.find(place.offset), cluster - place.first, geometry().refcount_order);
    co_return kOk;
}

Task<Status> Refcounts::add(Clusters clusters, bool up) {
    const uint64_t limit = geometry().max_refcount();
    const uint64_t end = clusters.first + clusters.count;
    for (uint64_t at = clusters.first; at < end;) {
        const uint64_t index = at >> geometry().block_bits();
        if (index >= table_.size() || table_[index] == 0) co_return kIoError;
        const Place place = place_of(at);
        DOPPEL_STORAGE_CHECK(co_await load_slice(place));
        uint8_t* slice = cache_.find(place.offset);
        const uint64_t stop = std::min(end, place.first + per_slice());
        for (; at < stop; at++) {
            const uint64_t count = get_refcount(slice, at - place.first, geometry().refcount_order);
            if (count == (up ? limit : 0)) co_return kIoError;
            set_refcount(slice, at - place.first, geometry().refcount_order, up ? count + 1 : count - 1);
            cache_.mark_dirty(place.offset);
            if (count == 1 && !up) restart_search(at);
        }
    }
    co_return kOk;
}

Task<Status> Refcounts::check_in_use(Clusters clusters) {
    for (uint64_t at = clusters.first; at < clusters.first + clusters.count; at++) {
        uint64_t count = 0;
        DOPPEL_STORAGE_CHECK(co_await get(at, count));
        if (count == 0) co_return kIoError;
    }
    co_return kOk;
}

Task<Status> Refcounts::allocate(uint64_t wanted, Clusters& got) {
    DOPPEL_STORAGE_CHECK(co_await find_free(wanted, got));
    if (overlaps_tables(header_, got.first << geometry().cluster_bits, got.count << geometry().cluster_bits))
        co_return kIoError;  // what is in use was marked as free
    if (!file_.grows() && (got.first + got.count) << geometry().cluster_bits > file_.size()) {
        // A block device is full; its last, incomplete cluster is not used.
        DOPPEL_STORAGE_CHECK(co_await add(got, false));
        co_return kNoSpace;
    }
    const Status moved = move_end(got.first + got.count);
    if (moved.ok()) co_return kOk;
    DOPPEL_STORAGE_CHECK(co_await add(got, false));
    co_return moved;
}

// The file always reaches to the end of what is allocated: a cluster that was only written in part, or not at all
// because zeroes are expected there, must not lie behind its end. In steps, because each costs a system call.
Status Refcounts::move_end(uint64_t cluster) {
    constexpr uint64_t kStep = 1 << 20;
    const uint64_t end = cluster << geometry().cluster_bits;
    if (end > file_.size()) {
        if (const Status status = file_.extend((end + kStep - 1) / kStep * kStep); !status.ok()) return status;
    }
    end_ = std::max(end_, end);
    return kOk;
}

Task<Status> Refcounts::find_free(uint64_t wanted, Clusters& got) {
    while (true) {
        // Tables have room for offsets below 2^56.
        if (next_ >= (uint64_t{1} << 56) >> geometry().cluster_bits) co_return Status(EFBIG);
        const uint64_t index = next_ >> geometry().block_bits();
        if (index >= table_.size()) {
            Clusters none;
            DOPPEL_STORAGE_CHECK(co_await append_region(0, none));
            continue;
        }
        if (table_[index] == 0) {
            DOPPEL_STORAGE_CHECK(co_await create_block(index));
            continue;
        }
        const Place place = place_of(next_);
        DOPPEL_STORAGE_CHECK(co_await load_slice(place));
        uint8_t* slice = cache_.find(place.offset);
        const uint32_t order = geometry().refcount_order;
        const uint64_t stop = place.first + per_slice();
        while (next_ < stop && get_refcount(slice, next_ - place.first, order) != 0) next_++;
        if (next_ == stop) continue;
        got = {next_, 0};
        for (; next_ < stop && got.count < wanted; next_++, got.count++) {
            if (get_refcount(slice, next_ - place.first, order) != 0) break;
            set_refcount(slice, next_ - place.first, order, 1);
        }
        cache_.mark_dirty(place.offset);
        co_return kOk;
    }
}

void Refcounts::set_entry(uint64_t index, uint64_t offset) {
    table_[index] = offset;
    dirty_table_sectors_.insert(index / kEntriesPerSector);
}

// Nothing in its range is in use, so the block lies in the first cluster that it describes.
Task<Status> Refcounts::create_block(uint64_t index) {
    const uint64_t cluster = index << geometry().block_bits();
    const uint64_t offset = cluster << geometry().cluster_bits;
    if (overlaps_tables(header_, offset, geometry().cluster_size())) co_return kIoError;
    if (!file_.grows() && offset + geometry().cluster_size() > file_.size()) co_return kNoSpace;
    DOPPEL_STORAGE_CHECK(move_end(cluster + 1));
    std::vector<uint8_t> block(geometry().cluster_size());
    set_refcount(block.data(), 0, geometry().refcount_order, 1);
    DOPPEL_STORAGE_CHECK(co_await file_.write(offset, Buffers(std::span(block))));
    cache_.forget(offset, block.size());
    set_entry(index, offset);
    co_return kOk;
}

// Behind everything that has a block: new blocks, a larger table if the present one has no entries for them, and
// `extra` clusters, which become `got`.
Task<Status> Refcounts::append_region(uint64_t extra, Clusters& got) {
    const Geometry& g = geometry();
    uint64_t used_entries = table_.size();
    while (used_entries > 0 && table_[used_entries - 1] == 0) used_entries--;
    const uint64_t start = used_entries << g.block_bits();
    uint64_t blocks = 0, table_clusters = 0, total = extra;
    do {
        blocks++;
        const uint64_t needed = used_entries + blocks;
        // With room for half as many again: tables should not move often.
        if (needed > table_.size()) table_clusters = g.clusters((needed + needed / 2) * 8);
        total = blocks + table_clusters + extra;
    } while (blocks << g.block_bits() < total);
    if (table_clusters << g.cluster_bits > kMaxRefcountTableBytes) co_return Status(EFBIG);
    if (!file_.grows() && (start + total) << g.cluster_bits > file_.size()) co_return kNoSpace;
    DOPPEL_STORAGE_CHECK(move_end(start + total));

    std::vector<uint64_t> entries = table_;
    if (table_clusters > 0) entries.resize((table_clusters << g.cluster_bits) / 8);
    for (uint64_t i = 0; i < blocks; i++) entries[used_entries + i] = (start + i) << g.cluster_bits;
    const Clusters table{start + blocks, table_clusters};
    DOPPEL_STORAGE_CHECK(co_await write_region({start, blocks}, table, total, entries));
    if (table_clusters == 0) {
        table_ = std::move(entries);
        for (uint64_t i = 0; i < blocks; i++) dirty_table_sectors_.insert((used_entries + i) / kEntriesPerSector);
    } else {
        const Clusters old{header_.refcount_table_offset >> g.cluster_bits, header_.refcount_table_clusters};
        Header changed = header_;
        changed.refcount_table_offset = table.first << g.cluster_bits;
        changed.refcount_table_clusters = static_cast<uint32_t>(table_clusters);
        const auto fields = encode_changing_fields(changed);
        DOPPEL_STORAGE_CHECK(co_await file_.flush());
        DOPPEL_STORAGE_CHECK(co_await file_.write(0, Buffers(std::span(fields))));
        header_.refcount_table_offset = changed.refcount_table_offset;
        header_.refcount_table_clusters = changed.refcount_table_clusters;
        table_ = std::move(entries);
        dirty_table_sectors_.clear();  // the new table was written whole
        DOPPEL_STORAGE_CHECK(co_await file_.flush());
        DOPPEL_STORAGE_CHECK(co_await add(old, false));
    }
    got = {start + total - extra, extra};
    co_return kOk;
}

// The blocks describe themselves and what follows them: `used` clusters in all.
Task<Status> Refcounts::write_region(Clusters blocks, Clusters table, uint64_t used,
                                     const std::vector<uint64_t>& entries) {
    const Geometry& g = geometry();
    std::vector<uint8_t> bytes(g.cluster_size());
    for (uint64_t i = 0; i < blocks.count; i++) {
        std::ranges::fill(bytes, uint8_t{0});
        const uint64_t first = i << g.block_bits();
        for (uint64_t n = 0; n < g.block_entries() && first + n < used; n++)
            set_refcount(bytes.data(), n, g.refcount_order, 1);
        const uint64_t offset = (blocks.first + i) << g.cluster_bits;
        DOPPEL_STORAGE_CHECK(co_await file_.write(offset, Buffers(std::span(bytes))));
        cache_.forget(offset, bytes.size());
    }
    if (table.count == 0) co_return kOk;
    std::vector<uint8_t> raw(entries.size() * 8);
    for (size_t i = 0; i < entries.size(); i++) store_be<uint64_t>(&raw[i * 8], entries[i]);
    co_return co_await file_.write(table.first << g.cluster_bits, Buffers(std::span(raw)));
}

Task<Status> Refcounts::allocate_exactly(uint64_t wanted, Clusters& got) {
    if (wanted <= geometry().block_entries() / 2) {
        DOPPEL_STORAGE_CHECK(co_await allocate(wanted, got));
        if (got.count == wanted) co_return kOk;
        DOPPEL_STORAGE_CHECK(co_await add(got, false));
    }
    co_return co_await append_region(wanted, got);
}

Refcounts::TableCopy Refcounts::take_dirty_table() {
    const std::set<uint64_t> sectors = std::exchange(dirty_table_sectors_, {});
    return {copy_sectors(table_, sectors), header_.refcount_table_offset};
}

Task<Status> Refcounts::write_table(const TableCopy& copy) {
    if (copy.table_offset != header_.refcount_table_offset) co_return kOk;  // moved, and written whole
    for (const SectorCopy& one : copy.sectors)
        DOPPEL_STORAGE_CHECK(
            co_await file_.write(copy.table_offset + one.number * kSector, Buffers(std::span(one.bytes))));
    co_return kOk;
}

void Refcounts::give_back(const TableCopy& copy) {
    if (copy.table_offset != header_.refcount_table_offset) return;
    for (const SectorCopy& one : copy.sectors) dirty_table_sectors_.insert(one.number);
}

}  // namespace doppel::storage::qcow2
