// A qcow2 image in use.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/block_device.h"
#include "storage/io_context.h"
#include "storage/qcow2/entry.h"
#include "storage/qcow2/header.h"
#include "storage/qcow2/refcounts.h"
#include "storage/qcow2/slice_cache.h"
#include "storage/qcow2/snapshots.h"
#include "storage/range_locks.h"
#include "storage/waiting.h"

namespace doppel::storage::qcow2 {

// What an image stands on. `data` is there if and only if the header says that the data is in a file of its own.
struct Parts {
    std::unique_ptr<BlockDevice> file;
    std::unique_ptr<BlockDevice> data;
    std::unique_ptr<BlockDevice> backing;
};

struct ImageOptions {
    size_t cache_bytes = 32 << 20;  // of the tables that map clusters, at most; an eighth as much of refcounts
    bool pass_discards = true;      // holes in the file where clusters became free
    bool repair = true;             // an image that was in use with lazy refcounts when its user ended
    std::string snapshot;           // look at this internal snapshot (id or name); then nothing can be written
};

// Reads, and checks, what Parts depends on.
Task<Result<Header>> read_header(BlockDevice& file);

// Metadata is changed in memory and reaches the file on a flush, or when much has gathered, in an order that makes
// every moment a consistent image: what is new first (refcounts, data), then what points to it, from below (L2, L1),
// and only then what is not pointed to any more becomes free. A crash leaves clusters that nobody uses, at worst; with
// lazy refcounts, an image marked dirty, whose refcounts are counted anew when it is opened.
class Image : public BlockDevice {
  public:
    // `parts.file` is writable if the image is to be. `header` is read_header's.
    static Task<Result<std::unique_ptr<Image>>> open(Parts parts, Header header, ImageOptions options);

    uint64_t size() const override { return size_; }
    bool read_only() const override { return read_only_; }
    std::string name() const override { return file_->name(); }
    uint32_t granularity() const override { return static_cast<uint32_t>(geometry().cluster_size()); }
    Task<Result<>> resize(uint64_t size, Preallocation preallocation) override;
    Task<Status> close() override;

    const Header& header() const { return header_; }
    const std::vector<Snapshot>& snapshots() const { return snapshots_; }
    BlockDevice* backing() { return backing_.get(); }
    BlockDevice& file() { return *file_; }
    // A whole cluster that nothing was written to yet, as `packed` (compress() made it of the cluster).
    Task<Status> write_compressed(uint64_t offset, std::span<const uint8_t> packed);
    // Gives every cluster from `from` to the end its place, so that writing needs no more metadata.
    Task<Status> preallocate(uint64_t from, Preallocation preallocation);

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override;
    Task<Status> do_write(uint64_t offset, Buffers from) override;
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
    Task<Status> do_discard(uint64_t offset, uint64_t length) override;
    Task<Status> do_flush() override;
    Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) override;

  private:
    enum class Kind { kBacking, kZero, kData, kCompressed };
    // Bytes that lie in a row and are of one kind.
    struct Run {
        Kind kind = Kind::kBacking;
        bool in_place = false;  // kData that can be overwritten
        uint64_t host = 0;      // kData: in data(); kCompressed: the entry says it
        uint64_t length = 0;
        Entry entry;  // of the first cluster
    };
    enum class Zeroing { kKeep, kUnmap, kDiscard };

    Image(Parts parts, Header header, ImageOptions options);
    const Geometry& geometry() const { return header_.geometry; }
    BlockDevice& data() { return data_ ? *data_ : *file_; }
    uint64_t cluster_of(uint64_t offset) const { return offset >> geometry().cluster_bits; }
    bool known_zero_below(uint64_t offset) const { return !backing_ || offset >= backing_->size(); }

    // image.cpp
    Task<Result<>> load();
    Task<Result<>> choose_snapshot();
    Task<Status> load_l1(uint64_t offset, uint32_t entries);
    Status corrupt(const char* what);
    Task<Status> mark_corrupt();

    // image_map.cpp: L1 and L2
    uint64_t entries_per_slice() const { return l2_.slice_size() / geometry().entry_size(); }
    uint64_t slice_end(uint64_t offset) const;      // the end of the guest bytes that the slice of this offset maps
    uint64_t entry_offset(uint64_t cluster) const;  // in the file; the L2 table is there
    bool valid_table(uint64_t entry) const;
    Task<Status> load_slice(uint64_t cluster);  // sets up `entry_at`, if there is a table
    uint8_t* entry_at(uint64_t cluster);        // of a loaded slice; null without a table
    Task<Status> find_run(uint64_t offset, uint64_t length, Run& run);
    bool run_in_cluster(uint64_t offset, uint64_t length, Run& run);
    Task<Status> own_table(uint64_t cluster);
    Task<Status> new_table(uint64_t l1_index);
    void set_l1(uint64_t index, uint64_t entry);
    void set_entry(uint64_t cluster, const Entry& entry);

    // image_read.cpp
    Task<Status> read_mapped(uint64_t offset, Buffers to);
    Task<Status> read_backing(uint64_t offset, Buffers to);
    Task<Status> read_compressed(const Entry& entry, uint64_t offset_in_cluster, Buffers to);

    // image_write.cpp
    Task<Status> begin_writing();
    Task<Status> prepare_to_write();
    Task<Status> write_header();
    Task<Status> write_allocating(uint64_t offset, Buffers from, uint64_t& done);
    Task<Status> write_new(uint64_t offset, Buffers from, uint64_t& done);
    Task<Status> write_owned(uint64_t offset, Buffers from, uint64_t& done);
    struct Room {  // for data, of some clusters in a row
        Clusters clusters;
        bool reads_as_zero = false;  // nothing was ever written there
    };
    Task<Status> allocate_data(uint64_t cluster, uint64_t wanted, Room& room);
    struct Filled {  // a write and what is to be written around it: guest offsets; `host` is where `begin` goes
        uint64_t begin, end, host;
        bool onto_zeroes;
    };
    Task<Status> write_filled(Filled where, uint64_t offset, Buffers from);
    Task<Status> place_compressed(Entry& entry);
    void release(const Entry& entry);
    void release(Clusters clusters);

    // image_zero.cpp
    Task<Status> zero_range(uint64_t offset, uint64_t length, Zeroing how);
    Task<Status> zero_part(uint64_t offset, uint64_t length);
    Task<Status> zero_units(uint64_t offset, uint64_t end, Zeroing how);
    bool zero_entry(Entry& entry, uint64_t guest, uint32_t subclusters, Zeroing how);
    Task<Status> zero_data_file(uint64_t offset, uint64_t length, Zeroing how);

    // image_flush.cpp
    struct Batch;
    Task<Status> sync();
    Task<Status> flush_metadata();
    Task<Status> write_batch(Batch& batch);
    Task<Status> free_released(std::vector<Clusters> released);
    Task<Status> limit_dirty();

    // image_resize.cpp
    Task<Result<>> grow(uint64_t size, Preallocation preallocation);
    Task<Result<>> shrink(uint64_t size);
    Task<Status> grow_l1(uint64_t entries);

    std::unique_ptr<BlockDevice> file_, data_, backing_;
    Header header_;
    const ImageOptions options_;
    bool read_only_;
    uint64_t size_;
    std::vector<uint64_t> l1_;
    std::set<uint64_t> dirty_l1_;  // sectors of 512 bytes
    SliceCache l2_;
    Refcounts refcounts_;
    std::vector<Snapshot> snapshots_;
    uint64_t first_end_ = 0;  // of the file, when it was opened

    RangeLocks locks_;     // of guest clusters
    TaskLock allocation_;  // refcounts, L1, the header
    TaskLock flushing_;
    uint64_t flushes_wanted_ = 0, flushes_done_ = 0;
    Status flush_status_;
    std::vector<Clusters> released_;  // not pointed to any more; free when that is durable
    bool writing_ = false;            // the file says that it is in use
    bool corrupt_ = false;            // nothing is written any more

    uint64_t packed_host_ = 0;  // the compressed cluster that `unpacked_` holds; 0: none
    std::vector<uint8_t> unpacked_;
    uint64_t packed_end_ = 0;  // where the next compressed cluster may begin; 0: in a new host cluster
};

}  // namespace doppel::storage::qcow2
