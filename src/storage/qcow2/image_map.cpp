// Where guest clusters are: L1 table in memory, L2 tables in slices.
#include <algorithm>
#include <bit>

#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

uint64_t Image::slice_end(uint64_t offset) const {
    const uint64_t bytes = entries_per_slice() << geometry().cluster_bits;
    return (offset / bytes + 1) * bytes;
}

uint64_t Image::entry_offset(uint64_t cluster) const {
    const uint64_t table = l1_[cluster >> geometry().l2_bits()] & kOffsetMask;
    return table + (cluster & (geometry().l2_entries() - 1)) * geometry().entry_size();
}

bool Image::valid_table(uint64_t entry) const {
    const uint64_t table = entry & kOffsetMask;
    return (entry & kL1Reserved) == 0 && geometry().offset_in_cluster(table) == 0 && table < file_->size();
}

Task<Status> Image::load_slice(uint64_t cluster) {
    while (true) {
        const uint64_t entry = l1_[cluster >> geometry().l2_bits()];
        if ((entry & kOffsetMask) == 0) co_return entry == 0 || entry == kCopied ? kOk : corrupt("an L1 entry");
        if (!valid_table(entry)) co_return corrupt("an L2 table is at no valid place");
        const uint64_t offset = entry_offset(cluster);
        if (l2_.find(offset) != nullptr) co_return kOk;
        DOPPEL_STORAGE_CHECK(co_await l2_.load(offset));
    }
}

uint8_t* Image::entry_at(uint64_t cluster) {
    if ((l1_[cluster >> geometry().l2_bits()] & kOffsetMask) == 0) return nullptr;
    return l2_.find(entry_offset(cluster));
}

// The part of one cluster, from `offset` on, whose subclusters are alike. `run.entry` is the cluster's. False where the
// entry makes no sense.
bool Image::run_in_cluster(uint64_t offset, uint64_t length, Run& run) {
    const Geometry& g = geometry();
    const uint64_t inside = g.offset_in_cluster(offset);
    const Entry& entry = run.entry;
    run.in_place = false;
    run.length = g.cluster_size() - inside;
    if (entry.compressed != 0) {
        run.kind = Kind::kCompressed;
    } else {
        const auto sub = static_cast<uint32_t>(inside >> g.subcluster_bits());
        const uint32_t bit = 1u << sub;
        const bool is_data = (entry.data & bit) != 0, is_zero = (entry.zero & bit) != 0;
        run.kind = is_data ? Kind::kData : is_zero ? Kind::kZero : Kind::kBacking;
        const uint32_t same = is_data ? entry.data : is_zero ? entry.zero : ~(entry.data | entry.zero);
        if (g.extended) {
            const auto count = static_cast<uint32_t>(std::countr_one(same >> sub));
            run.length = (uint64_t{std::min(sub + count, 32u)} << g.subcluster_bits()) - inside;
        }
        run.in_place = is_data && entry.copied;
        run.host = entry.host + inside;
        if (is_data && data_ && entry.host != offset - inside) return false;
    }
    run.length = std::min(run.length, length);
    return true;
}

// As far as one slice tells.
Task<Status> Image::find_run(uint64_t offset, uint64_t length, Run& run) {
    const Geometry& g = geometry();
    const uint64_t cluster = cluster_of(offset);
    length = std::min(length, slice_end(offset) - offset);
    if ((l1_[cluster >> g.l2_bits()] & kOffsetMask) == 0 || l2_.find(entry_offset(cluster)) == nullptr)
        DOPPEL_STORAGE_CHECK(co_await load_slice(cluster));
    const uint8_t* at = entry_at(cluster);
    run = {};
    run.length = length;
    if (at == nullptr) co_return kOk;  // no table: nothing is allocated
    const auto first = decode_entry(at, g, data_ != nullptr);
    if (!first) co_return corrupt("an L2 entry breaks the specification");
    run.entry = *first;
    if (!run_in_cluster(offset, length, run)) co_return corrupt("an L2 entry does not fit the data file");
    if (run.kind == Kind::kCompressed) co_return kOk;
    while (run.length < length && g.offset_in_cluster(offset + run.length) == 0) {
        at += g.entry_size();
        const auto entry = decode_entry(at, g, data_ != nullptr);
        Run next{.entry = entry.value_or(Entry{})};
        if (!entry || !run_in_cluster(offset + run.length, length - run.length, next)) break;
        if (next.kind != run.kind || next.in_place != run.in_place) break;
        if (run.kind == Kind::kData && next.host != run.host + run.length) break;
        run.length += next.length;
    }
    co_return kOk;
}

void Image::set_l1(uint64_t index, uint64_t entry) {
    l1_[index] = entry;
    dirty_l1_.insert(index / 64);
}

// The slice is loaded and its table is the image's own.
void Image::set_entry(uint64_t cluster, const Entry& entry) {
    encode_entry(entry_at(cluster), entry, geometry());
    l2_.mark_dirty(entry_offset(cluster));
}

// Makes sure that the cluster's L2 table is there and can be changed, and its slice loaded.
Task<Status> Image::own_table(uint64_t cluster) {
    const uint64_t index = cluster >> geometry().l2_bits();
    if ((l1_[index] & kCopied) == 0 || (l1_[index] & kOffsetMask) == 0) {
        const TaskLock::Guard guard = co_await allocation_.hold();
        if ((l1_[index] & kCopied) == 0 || (l1_[index] & kOffsetMask) == 0)
            DOPPEL_STORAGE_CHECK(co_await new_table(index));
    }
    co_return co_await load_slice(cluster);
}

// A new, empty table, or a copy of one that snapshots share.
Task<Status> Image::new_table(uint64_t l1_index) {
    const uint64_t old = l1_[l1_index] & kOffsetMask;
    if (old != 0 && !valid_table(l1_[l1_index])) co_return corrupt("an L2 table is at no valid place");
    std::vector<uint8_t> table(geometry().cluster_size());
    if (old != 0) DOPPEL_STORAGE_CHECK(co_await file_->read(old, Buffers(std::span(table))));
    Clusters got;
    DOPPEL_STORAGE_CHECK(co_await refcounts_.allocate(1, got));
    const uint64_t offset = got.first << geometry().cluster_bits;
    const Status status = co_await file_->write(offset, Buffers(std::span(table)));
    if (!status.ok()) {
        DOPPEL_STORAGE_CHECK(co_await refcounts_.add(got, false));
        co_return status;
    }
    l2_.forget(offset, table.size());
    set_l1(l1_index, offset | kCopied);
    if (old != 0) release(Clusters{cluster_of(old), 1});
    co_return kOk;
}

}  // namespace doppel::storage::qcow2
