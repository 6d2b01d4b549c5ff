#include <fmt/format.h>

#include <algorithm>

#include "base/byte_order.h"
#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

Task<Result<>> Image::resize(uint64_t size, Preallocation preallocation) {
    auto refuse = [&](std::string why, std::string cure = "") {
        return fail(Error{"resize disk", name(), std::move(why), std::move(cure)});
    };
    if (read_only_) co_return refuse("it was opened for reading only");
    if (size == size_) co_return Result<>{};
    if (header_.bitmaps) co_return refuse("it has bitmaps, which know its size", "remove them with qemu-img bitmap");
    if (!snapshots_.empty() && (header_.version < 3 || size < size_))
        co_return refuse("it has snapshots", "remove them with qemu-img snapshot, or convert it");
    if (size > INT64_MAX || geometry().l1_entries(size) > kMaxL1Bytes / 8)
        co_return refuse(fmt::format("clusters of {} bytes cannot make so large a disk", geometry().cluster_size()),
                         "convert it to larger clusters");
    if (preallocation != Preallocation::kOff && (backing_ || size < size_))
        co_return refuse("only a disk that grows, and stands on no other, can be given its room at once");
    Status status = co_await begin_writing();
    if (status.ok()) status = co_await flush();
    if (!status.ok()) co_return status.result("resize disk", name());
    // An "if" instead of a conditional operator: GCC 12 destroys the temporary tasks of one too early.
    if (size > size_) co_return co_await grow(size, preallocation);
    co_return co_await shrink(size);
}

Task<Result<>> Image::grow(uint64_t size, Preallocation preallocation) {
    if (data_ && data_->size() < size) {
        auto grown = co_await data_->resize(size, preallocation);
        if (!grown) co_return grown;
    }
    const uint64_t old = size_;
    Status status = kOk;
    if (geometry().l1_entries(size) > l1_.size()) status = co_await grow_l1(geometry().l1_entries(size));
    if (!status.ok()) co_return status.result("resize disk", name());
    size_ = size;
    // A larger backing disk must not show through.
    if (!known_zero_below(old))
        status = co_await zero_range(old, std::min(size, backing_->size()) - old, Zeroing::kKeep);
    if (status.ok() && preallocation != Preallocation::kOff) status = co_await preallocate(old, preallocation);
    if (status.ok()) status = co_await flush();
    if (status.ok()) {
        header_.size = size;
        status = co_await write_header();
    }
    if (status.ok()) status = co_await sync();
    if (!status.ok()) size_ = header_.size = old;
    co_return status.result("resize disk", name());
}

// The new table is complete before the header points to it.
Task<Status> Image::grow_l1(uint64_t entries) {
    const TaskLock::Guard guard = co_await allocation_.hold();
    const Clusters old{cluster_of(header_.l1_offset), geometry().clusters(uint64_t{header_.l1_entries} * 8)};
    Clusters got;
    DOPPEL_STORAGE_CHECK(co_await refcounts_.allocate_exactly(geometry().clusters(entries * 8), got));
    std::vector<uint8_t> raw(got.count << geometry().cluster_bits);
    for (size_t i = 0; i < l1_.size(); i++) store_be<uint64_t>(&raw[i * 8], l1_[i]);
    const uint64_t offset = got.first << geometry().cluster_bits;
    DOPPEL_STORAGE_CHECK(co_await file_->write(offset, Buffers(std::span(raw))));
    auto copies = refcounts_.cache().take_dirty();
    Status status = co_await refcounts_.cache().write(copies);
    refcounts_.cache().settle(copies);
    const auto table = refcounts_.take_dirty_table();
    if (status.ok()) status = co_await file_->flush();
    if (status.ok()) status = co_await refcounts_.write_table(table);
    if (status.ok()) status = co_await file_->flush();
    if (!status.ok()) {
        refcounts_.cache().give_back(std::move(copies));
        refcounts_.give_back(table);
        co_return status;
    }
    header_.l1_offset = offset;
    header_.l1_entries = static_cast<uint32_t>(entries);
    DOPPEL_STORAGE_CHECK(co_await write_header());
    DOPPEL_STORAGE_CHECK(co_await file_->flush());
    l1_.resize(entries);
    if (old.count > 0) release(old);
    co_return kOk;
}

Task<Result<>> Image::shrink(uint64_t size) {
    const Geometry& g = geometry();
    // The rest of the last cluster must not come back when the disk grows again.
    const uint64_t whole = std::min((size + g.cluster_size() - 1) & ~(g.cluster_size() - 1), size_);
    Status status = kOk;
    if (whole > size) status = co_await zero_part(size, whole - size);
    if (status.ok() && whole < size_) status = co_await zero_range(whole, size_ - whole, Zeroing::kDiscard);
    if (status.ok()) status = co_await flush();
    if (status.ok()) {
        size_ = header_.size = size;
        status = co_await write_header();
    }
    if (status.ok()) status = co_await sync();
    for (uint64_t i = g.l1_entries(size); status.ok() && i < l1_.size(); i++) {
        const uint64_t table = l1_[i] & kOffsetMask;
        if (table == 0) continue;
        l2_.forget(table, g.cluster_size());
        set_l1(i, 0);
        release(Clusters{cluster_of(table), 1});
    }
    if (status.ok()) status = co_await flush();
    if (!status.ok()) co_return status.result("resize disk", name());
    if (data_) co_return co_await data_->resize(size, Preallocation::kOff);
    co_return Result<>{};
}

Task<Status> Image::preallocate(uint64_t from, Preallocation preallocation) {
    if (backing_) co_return kNotSupported;
    DOPPEL_STORAGE_CHECK(co_await begin_writing());
    const Geometry& g = geometry();
    const uint64_t clusters = g.clusters(size_);
    for (uint64_t cluster = cluster_of(from); cluster < clusters;) {
        DOPPEL_STORAGE_CHECK(co_await limit_dirty());
        DOPPEL_STORAGE_CHECK(co_await own_table(cluster));
        const auto old = decode_entry(entry_at(cluster), g, data_ != nullptr);
        if (!old || old->has_host) {
            cluster++;
            continue;
        }
        const uint64_t slice = cluster_of(slice_end(cluster << g.cluster_bits));
        Room room;
        DOPPEL_STORAGE_CHECK(co_await allocate_data(cluster, std::min(slice, clusters) - cluster, room));
        const uint64_t host = room.clusters.first << g.cluster_bits, bytes = room.clusters.count << g.cluster_bits;
        if (preallocation == Preallocation::kFull)
            DOPPEL_STORAGE_CHECK(
                co_await write_zeroes_as_data(data(), host, data_ ? std::min(bytes, size_ - host) : bytes));
        else if (preallocation == Preallocation::kFalloc || !room.reads_as_zero)
            DOPPEL_STORAGE_CHECK(
                co_await data().write_zeroes(host, data_ ? std::min(bytes, size_ - host) : bytes, false));
        DOPPEL_STORAGE_CHECK(co_await load_slice(cluster));
        for (uint64_t i = 0; i < room.clusters.count; i++)
            set_entry(
                cluster + i,
                {.host = host + (i << g.cluster_bits), .copied = true, .data = g.all_subclusters(), .has_host = true});
        cluster += room.clusters.count;
    }
    co_return kOk;
}

}  // namespace doppel::storage::qcow2
