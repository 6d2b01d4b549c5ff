// One pass of a check: what the tables refer to, counted, compared with the refcounts, and mended if asked.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "storage/qcow2/check.h"
#include "storage/qcow2/entry.h"
#include "storage/qcow2/header.h"
#include "storage/qcow2/reference_counts.h"

namespace doppel::storage::qcow2 {

class Checker {
  public:
    Checker(BlockDevice& file, Header header, Repair repair);
    Task<Status> run();
    const CheckReport& report() const { return report_; }

  private:
    // Where an L2 table is used: how often in all, and by the active L1 table.
    struct TableUse {
        uint64_t times = 0;
        bool active = false;
    };
    const Geometry& geometry() const { return header_.geometry; }
    uint64_t cluster_of(uint64_t offset) const { return offset >> geometry().cluster_bits; }
    bool fixing() const { return repair_ == Repair::kAll; }
    bool inside(uint64_t offset, uint64_t length) const { return offset <= file_end_ && length <= file_end_ - offset; }
    void found_corruption(bool fixed, std::string message);
    void found_leak(bool fixed, uint64_t clusters, std::string message);

    // checker.cpp: counting
    Task<Status> count_tables();
    Task<Status> count_snapshots();
    Task<Status> count_bitmaps();
    Task<Status> count_l1(uint64_t offset, uint64_t entries, bool active);
    Task<Status> count_l2(uint64_t table, TableUse use);
    bool count_entry(const Entry& entry, uint64_t times, uint64_t guest_cluster);
    void count_range(uint64_t offset, uint64_t length, const char* what);
    Task<Status> read_words(uint64_t offset, uint64_t count, std::vector<uint64_t>& words);

    // checker_refcounts.cpp: comparing
    Task<Status> load_refcount_table();
    Task<Status> compare_refcounts();
    Task<Status> compare_block(uint64_t index);
    void compare_uncovered();
    Task<Status> rebuild_refcounts();
    Task<Status> check_copied();
    Task<Status> check_copied_table(uint64_t l1_index, uint64_t entry);
    bool flag_copied(uint64_t& word, uint64_t cluster, const char* what);
    Task<Status> stored_count(uint64_t cluster, uint64_t& count);
    Task<Status> clear_flags();

    BlockDevice& file_;
    Header header_;
    const Repair repair_;
    CheckReport report_;
    uint64_t file_end_;  // rounded up to a cluster
    ReferenceCounts counts_;
    std::map<uint64_t, TableUse> tables_;
    std::map<uint64_t, uint64_t> l1_ranges_;       // offset to end, so that overlapping ones are counted once
    std::map<uint64_t, uint64_t> guest_of_table_;  // an active L2 table's first guest cluster
    std::vector<uint64_t> refcount_table_;
    std::set<uint64_t> blocks_;  // the clusters of the table's blocks, as far as they are counted
    bool table_counted_ = false;
    bool rebuild_ = false;  // the table and its blocks are beyond mending
    uint64_t previous_host_ = 0;
    std::vector<uint8_t> block_;  // the refcount block read last
    uint64_t block_index_ = UINT64_MAX;
};

}  // namespace doppel::storage::qcow2
