// What is dirty reaches the file in the order that image.h promises.
#include <algorithm>

#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

// What one flush writes: as it was when the flush began.
struct Image::Batch {
    std::vector<SliceCache::Copy> refcounts, tables;
    Refcounts::TableCopy refcount_table;
    std::vector<SectorCopy> l1;
    std::vector<Clusters> released;
    bool empty() const {
        return refcounts.empty() && tables.empty() && refcount_table.sectors.empty() && l1.empty() && released.empty();
    }
};

Task<Status> Image::sync() {
    if (data_) DOPPEL_STORAGE_CHECK(co_await data_->flush());
    co_return co_await file_->flush();
}

Task<Status> Image::do_flush() {
    // Those that come while one is under way need one more, which serves them all.
    const uint64_t mine = ++flushes_wanted_;
    const TaskLock::Guard guard = co_await flushing_.hold();
    if (flushes_done_ >= mine) co_return flush_status_;
    const uint64_t serves = flushes_wanted_;
    flush_status_ = co_await flush_metadata();
    flushes_done_ = serves;
    co_return flush_status_;
}

Task<Status> Image::flush_metadata() {
    if (corrupt_) co_return co_await mark_corrupt();
    Batch batch;
    // An image that is marked dirty has its refcounts counted anew anyway. But they must not fill the memory.
    constexpr size_t kMostLazy = 256;
    if (!header_.has(incompatible::kDirty) || refcounts_.cache().dirty() > kMostLazy || refcounts_.table_dirty()) {
        batch.refcounts = refcounts_.cache().take_dirty();
        batch.refcount_table = refcounts_.take_dirty_table();
    }
    batch.tables = l2_.take_dirty();
    batch.l1 = copy_sectors(l1_, std::exchange(dirty_l1_, {}));
    batch.released = std::exchange(released_, {});
    if (batch.empty()) co_return co_await sync();
    const Status status = co_await write_batch(batch);
    if (status.ok()) {
        refcounts_.cache().settle(batch.refcounts);
        l2_.settle(batch.tables);
        co_return co_await free_released(std::move(batch.released));
    }
    refcounts_.cache().give_back(std::move(batch.refcounts));
    refcounts_.give_back(batch.refcount_table);
    l2_.give_back(std::move(batch.tables));
    for (const SectorCopy& one : batch.l1) dirty_l1_.insert(one.number);
    released_.insert(released_.end(), batch.released.begin(), batch.released.end());
    co_return status;
}

Task<Status> Image::write_batch(Batch& batch) {
    DOPPEL_STORAGE_CHECK(co_await refcounts_.cache().write(batch.refcounts));
    if (!batch.refcount_table.sectors.empty()) {
        DOPPEL_STORAGE_CHECK(co_await file_->flush());
        const TaskLock::Guard guard = co_await allocation_.hold();  // the table must not move meanwhile
        DOPPEL_STORAGE_CHECK(co_await refcounts_.write_table(batch.refcount_table));
    }
    if (!batch.tables.empty()) {
        DOPPEL_STORAGE_CHECK(co_await sync());
        DOPPEL_STORAGE_CHECK(co_await l2_.write(batch.tables));
    }
    if (!batch.l1.empty()) {
        DOPPEL_STORAGE_CHECK(co_await sync());
        for (const SectorCopy& one : batch.l1)
            DOPPEL_STORAGE_CHECK(
                co_await file_->write(header_.l1_offset + one.number * kSector, Buffers(std::span(one.bytes))));
    }
    co_return co_await sync();
}

// The tables that do not point there any more are durable.
Task<Status> Image::free_released(std::vector<Clusters> released) {
    for (const Clusters& clusters : released) {
        const TaskLock::Guard guard = co_await allocation_.hold();
        if (options_.pass_discards) {
            Clusters hole{clusters.first, 0};
            for (uint64_t c = clusters.first; c <= clusters.first + clusters.count; c++) {
                uint64_t count = 0;
                if (c < clusters.first + clusters.count) DOPPEL_STORAGE_CHECK(co_await refcounts_.get(c, count));
                if (count == 1) {
                    hole.count++;
                    continue;
                }
                const uint64_t offset = hole.first << geometry().cluster_bits;
                uint64_t bytes = hole.count << geometry().cluster_bits;
                if (offset < file_->size()) bytes = std::min(bytes, file_->size() - offset);
                // A hint: if it fails, the room stays taken.
                if (hole.count > 0 && offset < file_->size()) (void)co_await file_->discard(offset, bytes);
                hole = {c + 1, 0};
            }
        }
        const Status status = co_await refcounts_.add(clusters, false);
        if (status == kIoError) co_return corrupt("a cluster was in use that was marked as free");
        DOPPEL_STORAGE_CHECK(status);
    }
    co_return kOk;
}

}  // namespace doppel::storage::qcow2
