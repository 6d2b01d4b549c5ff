// Which host clusters are in use, and how often: the refcount table and its blocks.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "storage/qcow2/header.h"
#include "storage/qcow2/slice_cache.h"

namespace doppel::storage::qcow2 {

// A refcount of 2^order bits, the n-th of a block or a part of one that begins with a whole byte.
uint64_t get_refcount(const uint8_t* block, uint64_t n, uint32_t order);
void set_refcount(uint8_t* block, uint64_t n, uint32_t order, uint64_t value);

// Host clusters in a row.
struct Clusters {
    uint64_t first = 0;
    uint64_t count = 0;
};

// Whether a range of the file meets the header, the L1 or the refcount table. Hostile tables may send data there; other
// metadata is guarded by refcounts alone.
bool overlaps_tables(const Header& header, uint64_t offset, uint64_t length);

// A sector of a table of 64-bit entries: what a crash leaves old or new as a whole.
inline constexpr uint64_t kSector = 512, kEntriesPerSector = 64;
struct SectorCopy {
    uint64_t number;  // counted from the table's start
    std::vector<uint8_t> bytes;
};
std::vector<SectorCopy> copy_sectors(const std::vector<uint64_t>& table, const std::set<uint64_t>& sectors);

// Changes are made in memory. The owner writes them in this order: blocks (`cache`), then the table (`write_table`),
// each durable before the next and before anything that points to what was allocated. Only growing the table writes the
// header at once.
class Refcounts {
  public:
    // `header` is the image's, whose fields of the table are kept up to date.
    Refcounts(BlockDevice& file, Header& header, size_t cached_slices);

    // Reads the table. For an image that will be written, entries must make sense: aligned, in the file, none twice.
    Task<Status> load(bool for_writing);

    // Those that follow are used by one task at a time, except get.
    Task<Status> get(uint64_t cluster, uint64_t& count);
    // Up to `wanted` clusters in a row, at least one, each with a refcount of one.
    Task<Status> allocate(uint64_t wanted, Clusters& got);
    Task<Status> allocate_exactly(uint64_t wanted, Clusters& got);
    // Adds 1 to or takes 1 from each; kIoError, and part of it done, where a count would leave its range.
    Task<Status> add(Clusters clusters, bool up);
    // No count of these clusters, which a table refers to, may be zero: else the image is corrupt.
    Task<Status> check_in_use(Clusters clusters);

    SliceCache& cache() { return cache_; }
    const std::vector<uint64_t>& table() const { return table_; }
    bool table_dirty() const { return !dirty_table_sectors_.empty(); }
    // The table's changed sectors as they are now, which are then clean; `give_back` after a failure. The table must
    // not move while they are written.
    struct TableCopy {
        std::vector<SectorCopy> sectors;
        uint64_t table_offset = 0;
    };
    TableCopy take_dirty_table();
    Task<Status> write_table(const TableCopy& copy);
    void give_back(const TableCopy& copy);
    // The end of what was ever allocated while this was open, as an offset in the file.
    uint64_t end() const { return end_; }
    // Where the search for free clusters begins again.
    void restart_search(uint64_t cluster) { next_ = std::min(next_, cluster); }

  private:
    struct Place {
        uint64_t offset;  // of the slice in the file
        uint64_t first;   // the cluster of its first refcount
    };
    uint64_t per_slice() const { return uint64_t{cache_.slice_size()} * 8 / geometry().refcount_bits(); }
    const Geometry& geometry() const { return header_.geometry; }
    bool valid_block(uint64_t entry) const;
    Place place_of(uint64_t cluster) const;
    Task<Status> load_slice(Place place);
    Task<Status> create_block(uint64_t index);
    Task<Status> append_region(uint64_t extra, Clusters& got);
    Task<Status> find_free(uint64_t wanted, Clusters& got);
    Task<Status> write_region(Clusters blocks, Clusters table, uint64_t used, const std::vector<uint64_t>& entries);
    void set_entry(uint64_t index, uint64_t offset);
    Status move_end(uint64_t cluster);

    BlockDevice& file_;
    Header& header_;
    SliceCache cache_;
    std::vector<uint64_t> table_;
    std::set<uint64_t> dirty_table_sectors_;  // of 512 bytes, counted from the table's start
    uint64_t next_ = 0;
    uint64_t end_ = 0;
};

}  // namespace doppel::storage::qcow2
