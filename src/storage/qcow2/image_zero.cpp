#include <algorithm>

#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

Task<Status> Image::do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    return zero_range(offset, length, may_unmap ? Zeroing::kUnmap : Zeroing::kKeep);
}

// Whole clusters read as zeroes afterwards, unless a version 2 image stands on a backing disk.
Task<Status> Image::do_discard(uint64_t offset, uint64_t length) {
    return zero_range(offset, length, Zeroing::kDiscard);
}

Task<Status> Image::zero_range(uint64_t offset, uint64_t length, Zeroing how) {
    if (!writing_ || corrupt_) DOPPEL_STORAGE_CHECK(co_await begin_writing());
    const Geometry& g = geometry();
    const uint64_t unit = how == Zeroing::kDiscard ? g.cluster_size() : g.subcluster_size();
    const uint64_t end = offset + length;
    while (offset < end) {
        const uint64_t unit_end = (offset / unit + 1) * unit;
        const bool begins = offset % unit == 0;
        if (!begins || (end < unit_end && end < size_)) {  // a part of a unit
            const uint64_t part_end = std::min(end, unit_end);
            if (how != Zeroing::kDiscard) DOPPEL_STORAGE_CHECK(co_await zero_part(offset, part_end - offset));
            offset = part_end;
            continue;
        }
        // Whole units, except that the disk's end counts as one's; not more than a slice maps.
        uint64_t stop = std::min(end, slice_end(offset));
        if (stop < size_ && stop % unit != 0) stop -= stop % unit;
        DOPPEL_STORAGE_CHECK(co_await zero_units(offset, stop, how));
        offset = stop;
    }
    co_return kOk;
}

// Less than a unit can say: with data, unless it reads as zeroes already.
Task<Status> Image::zero_part(uint64_t offset, uint64_t length) {
    while (length > 0) {
        uint64_t there = 0;
        bool zero = false;
        {
            RangeLocks::Hold hold(locks_, cluster_of(offset), cluster_of(offset + length - 1), false);
            co_await hold;
            Run run;
            DOPPEL_STORAGE_CHECK(co_await find_run(offset, length, run));
            zero = run.kind == Kind::kZero || (run.kind == Kind::kBacking && known_zero_below(offset));
            there = run.length;
        }
        if (!zero) DOPPEL_STORAGE_CHECK(co_await write_zeroes_as_data(*this, offset, there));
        offset += there;
        length -= there;
    }
    co_return kOk;
}

// Whole units within one slice.
Task<Status> Image::zero_units(uint64_t offset, uint64_t end, Zeroing how) {
    const Geometry& g = geometry();
    DOPPEL_STORAGE_CHECK(co_await limit_dirty());
    uint64_t at = offset;
    {
        const uint64_t first = cluster_of(offset), last = cluster_of(end - 1);
        RangeLocks::Hold hold(locks_, first, last, true);
        co_await hold;
        DOPPEL_STORAGE_CHECK(co_await load_slice(first));
        if (entry_at(first) == nullptr && known_zero_below(offset)) co_return kOk;
        DOPPEL_STORAGE_CHECK(co_await own_table(first));
        if (data_) DOPPEL_STORAGE_CHECK(co_await zero_data_file(offset, end - offset, how));
        DOPPEL_STORAGE_CHECK(co_await load_slice(first));
        while (at < end) {
            const uint64_t cluster = cluster_of(at), guest = cluster << g.cluster_bits;
            const uint64_t stop = std::min(end, guest + g.cluster_size());
            const uint64_t first_sub = (at - guest) >> g.subcluster_bits();
            const uint64_t last_sub = (stop - 1 - guest) >> g.subcluster_bits();
            const auto mask = static_cast<uint32_t>(((uint64_t{2} << (last_sub - first_sub)) - 1) << first_sub);
            // What lies behind the disk's end is zeroed with what lies before it.
            const uint32_t subclusters = stop == size_ && at == guest ? g.all_subclusters() : mask;
            const auto old = decode_entry(entry_at(cluster), g, data_ != nullptr);
            if (!old) co_return corrupt("an L2 entry breaks the specification");
            Entry entry = *old;
            if (!zero_entry(entry, guest, subclusters, how)) break;
            if (entry != *old) {
                if (old->has_host && !entry.has_host) release(*old);
                set_entry(cluster, entry);
            }
            at = stop;
        }
    }
    if (at == end) co_return kOk;
    // A unit that can only be zeroed with data; the next turn goes on behind it.
    const uint64_t stop = std::min(end, ((at >> g.cluster_bits) + 1) << g.cluster_bits);
    if (how != Zeroing::kDiscard) DOPPEL_STORAGE_CHECK(co_await write_zeroes_as_data(*this, at, stop - at));
    if (stop == end) co_return kOk;
    co_return co_await zero_units(stop, end, how);
}

// Changes the entry; false where only data will do.
bool Image::zero_entry(Entry& entry, uint64_t guest, uint32_t subclusters, Zeroing how) {
    const bool whole = subclusters == geometry().all_subclusters();
    const bool flags = header_.version >= 3;  // the format has a sign for zeroes
    const bool own = entry.has_host && entry.copied && entry.compressed == 0;
    const bool zero_below = known_zero_below(guest);
    const bool keeps = flags && own && (how == Zeroing::kKeep || !whole);
    if (keeps || (flags && !whole && !entry.has_host)) {
        entry.zero |= subclusters;
        entry.data &= ~subclusters;
        return true;
    }
    if (!whole || (!flags && (!zero_below || (data_ && entry.has_host)))) return false;
    entry = {};
    if (!zero_below || header_.raw_external()) entry.zero = subclusters;
    return true;
}

// The data file reads as zeroes where it must be a disk by itself; elsewhere it may get rid of the data.
Task<Status> Image::zero_data_file(uint64_t offset, uint64_t length, Zeroing how) {
    const uint64_t end = std::min(offset + length, data_->size());
    if (offset >= end) return ready(kOk);
    if (header_.raw_external()) return data_->write_zeroes(offset, end - offset, how != Zeroing::kKeep);
    if (how == Zeroing::kKeep || !options_.pass_discards) return ready(kOk);
    return data_->discard(offset, end - offset);
}

}  // namespace doppel::storage::qcow2
