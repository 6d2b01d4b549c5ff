#include <algorithm>
#include <bit>

#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

namespace {

constexpr size_t kMaxDirtySlices = 1024;
constexpr size_t kMaxReleased = 16384;

bool all_zero(std::span<const uint8_t> bytes) {
    return bytes.empty() || (bytes[0] == 0 && std::equal(bytes.begin() + 1, bytes.end(), bytes.begin()));
}

// Bits [first, last) of a subcluster bitmap.
uint32_t bits(uint64_t first, uint64_t last) {
    return static_cast<uint32_t>(((uint64_t{1} << (last - first)) - 1) << first);
}

}  // namespace

Task<Status> Image::do_write(uint64_t offset, Buffers from) {
    if (!writing_ || corrupt_) DOPPEL_STORAGE_CHECK(co_await begin_writing());
    while (!from.empty()) {
        uint64_t done = 0;
        {
            RangeLocks::Hold hold(locks_, cluster_of(offset), cluster_of(offset + from.size() - 1), false);
            co_await hold;
            Run run;
            DOPPEL_STORAGE_CHECK(co_await find_run(offset, from.size(), run));
            if (run.kind == Kind::kData && run.in_place) {
                if (!data_ && overlaps_tables(header_, run.host, run.length))
                    co_return corrupt("data lies in the image's own tables");
                DOPPEL_STORAGE_CHECK(co_await data().write(run.host, from.slice(0, run.length)));
                done = run.length;
            }
        }
        if (done == 0) DOPPEL_STORAGE_CHECK(co_await write_allocating(offset, from, done));
        offset += done;
        from = from.from(done);
    }
    co_return kOk;
}

// Writes the beginning, as far as it takes one kind of change to the mapping.
Task<Status> Image::write_allocating(uint64_t offset, Buffers from, uint64_t& done) {
    DOPPEL_STORAGE_CHECK(co_await limit_dirty());
    from = from.slice(0, std::min(from.size(), slice_end(offset) - offset));
    const uint64_t first = cluster_of(offset), last = cluster_of(offset + from.size() - 1);
    RangeLocks::Hold hold(locks_, first, last, true);
    co_await hold;
    DOPPEL_STORAGE_CHECK(co_await own_table(first));
    const auto entry = decode_entry(entry_at(first), geometry(), data_ != nullptr);
    if (!entry) co_return corrupt("an L2 entry breaks the specification");
    const bool owned = entry->has_host && entry->copied && entry->compressed == 0;
    if (owned) co_return co_await write_owned(offset, from, done);
    co_return co_await write_new(offset, from, done);
}

// Room for clusters from guest cluster `cluster` on: in the file, or at their place in the data file.
Task<Status> Image::allocate_data(uint64_t cluster, uint64_t wanted, Room& room) {
    if (data_) {
        room = {{cluster, wanted}, false};
        co_return kOk;
    }
    const TaskLock::Guard guard = co_await allocation_.hold();
    const uint64_t used_end = std::max(first_end_, refcounts_.end());
    DOPPEL_STORAGE_CHECK(co_await refcounts_.allocate(wanted, room.clusters));
    room.reads_as_zero = file_->grows() && room.clusters.first << geometry().cluster_bits >= used_end;
    co_return kOk;
}

// Into clusters that have no place, or none of their own.
Task<Status> Image::write_new(uint64_t offset, Buffers from, uint64_t& done) {
    const Geometry& g = geometry();
    const uint64_t first = cluster_of(offset), last = cluster_of(offset + from.size() - 1);
    uint64_t wanted = 0;
    bool whole = !g.extended;  // what of the first and last cluster is not written must be copied
    for (uint64_t c = first; c <= last; c++, wanted++) {
        const auto entry = decode_entry(entry_at(c), g, data_ != nullptr);
        if (!entry) co_return corrupt("an L2 entry breaks the specification");
        if (entry->has_host && entry->copied && entry->compressed == 0) break;
        if (entry->data != 0 || entry->compressed != 0) whole = true;
    }
    Room room;
    DOPPEL_STORAGE_CHECK(co_await allocate_data(first, wanted, room));
    const uint64_t guest = first << g.cluster_bits, host = room.clusters.first << g.cluster_bits;
    const uint64_t area_end = guest + (room.clusters.count << g.cluster_bits);
    const uint64_t end = std::min(offset + from.size(), area_end);
    const uint64_t align = (whole ? g.cluster_size() : g.subcluster_size()) - 1;
    const uint64_t begin_filled = offset & ~align, end_filled = (end + align) & ~align;

    Status status = co_await write_filled({begin_filled, end_filled, host + (begin_filled - guest), room.reads_as_zero},
                                          offset, from.slice(0, end - offset));
    if (status.ok()) status = co_await load_slice(first);
    if (!status.ok()) {
        if (!data_) {
            const TaskLock::Guard guard = co_await allocation_.hold();
            DOPPEL_STORAGE_CHECK(co_await refcounts_.add(room.clusters, false));
        }
        co_return status;
    }
    for (uint64_t i = 0; i < room.clusters.count; i++) {
        const auto old = decode_entry(entry_at(first + i), g, data_ != nullptr);
        const uint64_t from_byte =
            std::max(begin_filled, guest + (i << g.cluster_bits)) - guest - (i << g.cluster_bits);
        const uint64_t to_byte = std::min(end_filled - guest - (i << g.cluster_bits), g.cluster_size());
        Entry entry{.host = host + (i << g.cluster_bits), .copied = true, .has_host = true};
        entry.data = bits(from_byte >> g.subcluster_bits(), to_byte >> g.subcluster_bits());
        entry.zero = old && old->compressed == 0 ? old->zero & ~entry.data : 0;
        if (old) release(*old);
        set_entry(first + i, entry);
    }
    done = end - offset;
    co_return kOk;
}

// Into a cluster that has a place of its own, of which not everything is in use.
Task<Status> Image::write_owned(uint64_t offset, Buffers from, uint64_t& done) {
    const Geometry& g = geometry();
    const uint64_t cluster = cluster_of(offset), guest = cluster << g.cluster_bits;
    const uint64_t end = std::min(offset + from.size(), guest + g.cluster_size());
    const uint64_t align = g.subcluster_size() - 1;
    const uint64_t begin_filled = offset & ~align, end_filled = (end + align) & ~align;
    const auto entry = decode_entry(entry_at(cluster), g, data_ != nullptr);
    if (!entry || (data_ && entry->host != guest)) co_return corrupt("an L2 entry does not fit the data file");
    if (!data_ && overlaps_tables(header_, entry->host, g.cluster_size()))
        co_return corrupt("data lies in the image's own tables");
    DOPPEL_STORAGE_CHECK(co_await write_filled({begin_filled, end_filled, entry->host + (begin_filled - guest), false},
                                               offset, from.slice(0, end - offset)));
    DOPPEL_STORAGE_CHECK(co_await load_slice(cluster));
    Entry changed = *entry;
    changed.data |= bits((begin_filled - guest) >> g.subcluster_bits(), (end_filled - guest) >> g.subcluster_bits());
    changed.zero &= ~changed.data;
    if (changed != *entry) set_entry(cluster, changed);
    done = end - offset;
    co_return kOk;
}

// Writes, together with what the guest reads around it now.
Task<Status> Image::write_filled(Filled where, uint64_t offset, Buffers from) {
    const uint64_t end = offset + from.size();
    std::vector<uint8_t> before(offset - where.begin), behind(where.end - end);
    if (!before.empty()) DOPPEL_STORAGE_CHECK(co_await read_mapped(where.begin, Buffers(std::span(before))));
    if (!behind.empty()) {
        // The last cluster may reach over the disk's end, where a backing disk may go on.
        const uint64_t there = std::min<uint64_t>(behind.size(), size_ > end ? size_ - end : 0);
        if (data_) behind.resize(there);  // a data file is as long as the disk
        if (there > 0) DOPPEL_STORAGE_CHECK(co_await read_mapped(end, Buffers(std::span(behind).first(there))));
    }
    uint64_t host = where.host + before.size();
    std::vector<iovec> parts;
    if (!before.empty() && !(where.onto_zeroes && all_zero(before))) {
        parts.push_back({before.data(), before.size()});
        host = where.host;
    }
    from.append_to(parts);
    if (!behind.empty() && !(where.onto_zeroes && all_zero(behind))) parts.push_back({behind.data(), behind.size()});
    co_return co_await data().write(host, Buffers(std::span<const iovec>(parts)));
}

// Nothing points there any more, once the tables are written.
void Image::release(const Entry& entry) {
    if (!entry.has_host || data_) return;
    if (entry.compressed == 0) {
        release(Clusters{cluster_of(entry.host), 1});
        return;
    }
    unpacked_.clear();
    const uint64_t last = cluster_of(entry.host + entry.compressed - 1);
    release(Clusters{cluster_of(entry.host), last - cluster_of(entry.host) + 1});
}

void Image::release(Clusters clusters) {
    // The end of what is packed may lie there: nothing may be added to it any more.
    if (packed_end_ != 0 && cluster_of(packed_end_) >= clusters.first &&
        cluster_of(packed_end_) < clusters.first + clusters.count)
        packed_end_ = 0;
    if (!released_.empty() && released_.back().first + released_.back().count == clusters.first)
        released_.back().count += clusters.count;
    else
        released_.push_back(clusters);
}

Task<Status> Image::limit_dirty() {
    if (l2_.dirty() > kMaxDirtySlices || released_.size() > kMaxReleased ||
        refcounts_.cache().dirty() > 4 * kMaxDirtySlices)
        DOPPEL_STORAGE_CHECK(co_await flush());
    co_return kOk;
}

Task<Status> Image::write_compressed(uint64_t offset, std::span<const uint8_t> packed) {
    const Geometry& g = geometry();
    if (read_only_) co_return kReadOnly;
    if (data_ || packed.empty() || packed.size() >= g.cluster_size()) co_return kNotSupported;
    if (g.offset_in_cluster(offset) != 0 || offset >= size_) co_return kOutOfRange;
    if (!writing_ || corrupt_) DOPPEL_STORAGE_CHECK(co_await begin_writing());
    DOPPEL_STORAGE_CHECK(co_await limit_dirty());
    const uint64_t cluster = cluster_of(offset);
    RangeLocks::Hold hold(locks_, cluster, cluster, true);
    co_await hold;
    DOPPEL_STORAGE_CHECK(co_await own_table(cluster));
    const auto old = decode_entry(entry_at(cluster), g, false);
    if (!old || old->has_host) co_return kNotSupported;

    Entry entry{.compressed = packed.size(), .has_host = true};
    {
        const TaskLock::Guard guard = co_await allocation_.hold();
        DOPPEL_STORAGE_CHECK(co_await place_compressed(entry));
    }
    Status status = co_await file_->write(entry.host, Buffers(packed));
    if (status.ok()) status = co_await load_slice(cluster);
    if (!status.ok()) {
        release(entry);
        co_return status;
    }
    set_entry(cluster, entry);
    co_return kOk;
}

// Behind the last compressed cluster, if its host cluster has room and can be shared once more.
Task<Status> Image::place_compressed(Entry& entry) {
    const Geometry& g = geometry();
    const uint64_t left = packed_end_ == 0 ? 0 : g.cluster_size() - g.offset_in_cluster(packed_end_);
    if (left > 0 && left < g.cluster_size()) {
        const uint64_t host_cluster = cluster_of(packed_end_);
        uint64_t count = 0;
        DOPPEL_STORAGE_CHECK(co_await refcounts_.get(host_cluster, count));
        // Data that does not fit goes on in the next host cluster, if that is free: here it begins anew instead.
        if (entry.compressed <= left && count > 0 && count < g.max_refcount()) {
            DOPPEL_STORAGE_CHECK(co_await refcounts_.add({host_cluster, 1}, true));
            entry.host = packed_end_;
            packed_end_ += entry.compressed;
            co_return kOk;
        }
    }
    Clusters got;
    DOPPEL_STORAGE_CHECK(co_await refcounts_.allocate(1, got));
    entry.host = got.first << g.cluster_bits;
    packed_end_ = entry.host + entry.compressed;
    co_return kOk;
}

}  // namespace doppel::storage::qcow2
