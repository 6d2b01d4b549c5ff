#include "storage/qcow2/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/byte_order.h"
#include "storage/qcow2/bitmaps.h"
#include "storage/qcow2/image.h"
#include "storage/qcow2/snapshots.h"

namespace doppel::storage::qcow2 {

namespace {

constexpr size_t kMaxMessages = 20;

}  // namespace

Checker::Checker(BlockDevice& file, Header header, Repair repair)
    : file_(file), header_(std::move(header)), repair_(repair) {
    const uint64_t size = header_.geometry.cluster_size();
    file_end_ = (file.size() + size - 1) & ~(size - 1);
}

Task<Status> Checker::run() {
    report_.clusters = geometry().clusters(header_.size);
    DOPPEL_STORAGE_CHECK(co_await count_tables());
    DOPPEL_STORAGE_CHECK(co_await load_refcount_table());
    if (rebuild_ && fixing())
        DOPPEL_STORAGE_CHECK(co_await rebuild_refcounts());
    else
        DOPPEL_STORAGE_CHECK(co_await compare_refcounts());
    DOPPEL_STORAGE_CHECK(co_await check_copied());
    report_.end = counts_.end() << geometry().cluster_bits;
    if (repair_ != Repair::kNothing) DOPPEL_STORAGE_CHECK(co_await file_.flush());
    if (fixing() && report_.corruptions_left() == 0) DOPPEL_STORAGE_CHECK(co_await clear_flags());
    co_return kOk;
}

void Checker::found_corruption(bool fixed, std::string message) {
    report_.corruptions++;
    if (fixed) report_.corruptions_fixed++;
    if (report_.messages.size() < kMaxMessages) report_.messages.push_back(std::move(message));
}

void Checker::found_leak(bool fixed, uint64_t clusters, std::string message) {
    report_.leaks += clusters;
    if (fixed) report_.leaks_fixed += clusters;
    if (report_.messages.size() < kMaxMessages) report_.messages.push_back(std::move(message));
}

Task<Status> Checker::read_words(uint64_t offset, uint64_t count, std::vector<uint64_t>& words) {
    std::vector<uint8_t> raw(count * 8);
    const uint64_t there = std::min<uint64_t>(raw.size(), file_.size() > offset ? file_.size() - offset : 0);
    if (there > 0) DOPPEL_STORAGE_CHECK(co_await file_.read(offset, Buffers(std::span(raw).first(there))));
    words.resize(count);
    for (uint64_t i = 0; i < count; i++) words[i] = load_be<uint64_t>(&raw[i * 8]);
    co_return kOk;
}

void Checker::count_range(uint64_t offset, uint64_t length, const char* what) {
    if (length == 0) return;
    if (!inside(offset, length)) {
        found_corruption(false, fmt::format("{} lies behind the file's end", what));
        return;
    }
    for (uint64_t c = cluster_of(offset); c <= cluster_of(offset + length - 1); c++) counts_.add(c, 1);
}

Task<Status> Checker::count_tables() {
    counts_.add(0, 1);
    count_range(header_.l1_offset, uint64_t{header_.l1_entries} * 8, "the L1 table");
    DOPPEL_STORAGE_CHECK(co_await count_l1(header_.l1_offset, header_.l1_entries, true));
    DOPPEL_STORAGE_CHECK(co_await count_snapshots());
    DOPPEL_STORAGE_CHECK(co_await count_bitmaps());
    // Each once, however often it is used: the work is bounded by the file's size.
    for (const auto& [table, use] : tables_) DOPPEL_STORAGE_CHECK(co_await count_l2(table, use));
    co_return kOk;
}

Task<Status> Checker::count_l1(uint64_t offset, uint64_t entries, bool active) {
    if (entries == 0 || !inside(offset, entries * 8)) co_return kOk;
    const uint64_t end = offset + entries * 8;
    auto next = l1_ranges_.upper_bound(offset);
    const bool overlaps = (next != l1_ranges_.end() && next->first < end) ||
                          (next != l1_ranges_.begin() && std::prev(next)->second > offset);
    if (overlaps) {
        found_corruption(false, fmt::format("the L1 table at {:#x} overlaps another", offset));
        co_return kOk;
    }
    l1_ranges_.emplace(offset, end);
    std::vector<uint64_t> words;
    DOPPEL_STORAGE_CHECK(co_await read_words(offset, entries, words));
    for (uint64_t i = 0; i < entries; i++) {
        const uint64_t table = words[i] & kOffsetMask;
        if (words[i] == 0) continue;
        if ((words[i] & kL1Reserved) != 0 || geometry().offset_in_cluster(table) != 0 ||
            !inside(table, geometry().cluster_size()) || table == 0) {
            if (words[i] == kCopied) continue;
            found_corruption(fixing(), fmt::format("entry {} of the L1 table at {:#x} points nowhere", i, offset));
            if (fixing()) {
                const std::array<uint8_t, 8> nothing{};
                DOPPEL_STORAGE_CHECK(co_await file_.write(offset + i * 8, Buffers(std::span(nothing))));
            }
            continue;
        }
        TableUse& use = tables_[table];
        use.times++;
        use.active = use.active || active;
        if (active) guest_of_table_.emplace(table, i << geometry().l2_bits());
        counts_.add(cluster_of(table), 1);
    }
    co_return kOk;
}

Task<Status> Checker::count_snapshots() {
    if (header_.snapshots == 0) co_return kOk;
    const auto snapshots = co_await read_snapshots(file_, header_);
    const auto bytes = co_await snapshot_table_bytes(file_, header_);
    if (!snapshots || !bytes) {
        found_corruption(false, (snapshots ? bytes.error() : snapshots.error()).message());
        co_return kOk;
    }
    count_range(header_.snapshots_offset, *bytes, "the snapshot table");
    for (const Snapshot& one : *snapshots) {
        count_range(one.l1_offset, uint64_t{one.l1_entries} * 8, "a snapshot's L1 table");
        DOPPEL_STORAGE_CHECK(co_await count_l1(one.l1_offset, one.l1_entries, false));
    }
    co_return kOk;
}

Task<Status> Checker::count_bitmaps() {
    if (!header_.bitmaps || (header_.autoclear & autoclear::kBitmaps) == 0) co_return kOk;
    const auto bitmaps = co_await read_bitmaps(file_, header_);
    if (!bitmaps) {
        found_corruption(false, bitmaps.error().message());
        co_return kOk;
    }
    count_range(header_.bitmaps->directory_offset, header_.bitmaps->directory_size, "the bitmap directory");
    for (const Bitmap& one : *bitmaps) {
        count_range(one.table_offset, uint64_t{one.table_entries} * 8, "a bitmap table");
        std::vector<uint64_t> words;
        DOPPEL_STORAGE_CHECK(co_await read_words(one.table_offset, one.table_entries, words));
        for (const uint64_t word : words) {
            const uint64_t offset = word & kOffsetMask;
            if (offset == 0) continue;
            if (geometry().offset_in_cluster(offset) != 0 || (word & ~kOffsetMask) != 0)
                found_corruption(false, "a bitmap table's entry points nowhere");
            else
                count_range(offset, geometry().cluster_size(), "a bitmap's data");
        }
    }
    co_return kOk;
}

Task<Status> Checker::count_l2(uint64_t table, TableUse use) {
    std::vector<uint8_t> raw(geometry().cluster_size());
    const uint64_t there = std::min<uint64_t>(raw.size(), file_.size() > table ? file_.size() - table : 0);
    if (there > 0) DOPPEL_STORAGE_CHECK(co_await file_.read(table, Buffers(std::span(raw).first(there))));
    bool changed = false;
    const auto guest = guest_of_table_.find(table);
    for (uint64_t i = 0; i < geometry().l2_entries(); i++) {
        uint8_t* at = &raw[i * geometry().entry_size()];
        const auto entry = decode_entry(at, geometry(), header_.external());
        const uint64_t guest_cluster = use.active ? guest->second + i : UINT64_MAX;
        if (entry && count_entry(*entry, use.times, guest_cluster)) continue;
        found_corruption(fixing(), fmt::format("entry {} of the L2 table at {:#x} makes no sense", i, table));
        if (!fixing()) continue;
        // What was there cannot be found any more: it reads as zeroes.
        encode_entry(at, {.zero = header_.version >= 3 ? geometry().all_subclusters() : 0}, geometry());
        changed = true;
    }
    if (!changed) co_return kOk;
    co_return co_await file_.write(table, Buffers(std::span(raw)));
}

// False, and nothing counted, where the entry points to what is not there.
bool Checker::count_entry(const Entry& entry, uint64_t times, uint64_t guest_cluster) {
    if (entry.data != 0 || entry.compressed != 0) {
        if (guest_cluster != UINT64_MAX) report_.allocated++;
        if (guest_cluster != UINT64_MAX && entry.compressed != 0) report_.compressed++;
    }
    if (!entry.has_host) return true;
    if (header_.external()) return entry.host == guest_cluster << geometry().cluster_bits;
    const uint64_t length = entry.compressed != 0 ? entry.compressed : geometry().cluster_size();
    // Compressed data is said to end with a sector, which the file need not have whole.
    if (!inside(entry.host, entry.compressed != 0 ? 1 : length) || (entry.compressed != 0 && entry.host == 0))
        return false;
    if (guest_cluster != UINT64_MAX) {
        if (previous_host_ != 0 && previous_host_ + geometry().cluster_size() != entry.host) report_.fragmented++;
        previous_host_ = entry.compressed != 0 ? 0 : entry.host;
        if (entry.compressed != 0) report_.fragmented++;
    }
    for (uint64_t c = cluster_of(entry.host); c <= cluster_of(entry.host + length - 1); c++) counts_.add(c, times);
    return true;
}

Task<Result<CheckReport>> check(BlockDevice& file, CheckOptions options) {
    auto header = co_await read_header(file);
    if (!header) co_return fail(std::move(header).error());
    Checker checker(file, *header, options.repair);
    Status status = co_await checker.run();
    if (!status.ok()) co_return fail(Error::system("check qcow2 disk", file.name(), status.error_number()));
    CheckReport report = checker.report();
    if (options.repair == Repair::kNothing || report.corruptions + report.leaks == 0) co_return report;
    // What is said to be mended must be.
    header = co_await read_header(file);
    if (!header) co_return fail(std::move(header).error());
    Checker again(file, *header, Repair::kNothing);
    status = co_await again.run();
    if (!status.ok()) co_return fail(Error::system("check qcow2 disk", file.name(), status.error_number()));
    const CheckReport& left = again.report();
    report.corruptions = std::max(report.corruptions, left.corruptions);
    report.leaks = std::max(report.leaks, left.leaks);
    report.corruptions_fixed = report.corruptions - left.corruptions;
    report.leaks_fixed = report.leaks - left.leaks;
    report.end = left.end;
    for (const std::string& message : left.messages) {
        if (report.messages.size() < kMaxMessages) report.messages.push_back("still: " + message);
    }
    co_return report;
}

}  // namespace doppel::storage::qcow2
