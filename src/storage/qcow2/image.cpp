#include "storage/qcow2/image.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_order.h"
#include "base/log.h"
#include "storage/qcow2/bitmaps.h"
#include "storage/qcow2/check.h"

namespace doppel::storage::qcow2 {

namespace {

Error damaged(const BlockDevice& file, std::string what) {
    return {"open qcow2 disk", file.name(), std::move(what), "doppel disk check --repair may mend it"};
}

uint32_t slice_size(const Header& header) {
    return static_cast<uint32_t>(std::min<uint64_t>(header.geometry.cluster_size(), 4096));
}

}  // namespace

Task<Result<Header>> read_header(BlockDevice& file) {
    std::vector<uint8_t> bytes(std::min<uint64_t>(file.size(), uint64_t{1} << kMaxClusterBits));
    const Status status = co_await file.read(0, Buffers(std::span(bytes)));
    if (!status.ok()) co_return fail(Error::system("read qcow2 header", file.name(), status.error_number()));
    co_return parse_header(bytes, file.name());
}

Image::Image(Parts parts, Header header, ImageOptions options)
    : file_(std::move(parts.file)),
      data_(std::move(parts.data)),
      backing_(std::move(parts.backing)),
      header_(std::move(header)),
      options_(std::move(options)),
      read_only_(file_->read_only() || !options_.snapshot.empty()),
      size_(header_.size),
      l2_(*file_, slice_size(header_), std::max<size_t>(options_.cache_bytes / slice_size(header_), 16)),
      refcounts_(*file_, header_, std::max<size_t>(options_.cache_bytes / 8 / slice_size(header_), 16)) {}

Task<Result<std::unique_ptr<Image>>> Image::open(Parts parts, Header header, ImageOptions options) {
    const bool writable = !parts.file->read_only() && options.snapshot.empty();
    if (writable && header.has(incompatible::kCorrupt))
        co_return fail(damaged(*parts.file, "it is marked as corrupt and can only be read"));
    if (writable && header.has(incompatible::kDirty) && options.repair) {
        auto report = co_await check(*parts.file, {.repair = Repair::kAll});
        if (!report) co_return fail(std::move(report).error());
        if (report->corruptions_left() > 0)
            co_return fail(damaged(*parts.file, "it was in use when its user ended, and could not be mended"));
        auto mended = co_await read_header(*parts.file);
        if (!mended) co_return fail(std::move(mended).error());
        header = std::move(*mended);
    }
    std::unique_ptr<Image> image(new Image(std::move(parts), std::move(header), std::move(options)));
    if (auto loaded = co_await image->load(); !loaded) co_return fail(std::move(loaded).error());
    co_return image;
}

Task<Result<>> Image::load() {
    if (header_.external() && !data_) co_return fail(damaged(*file_, "the file with its data is missing"));
    if (!read_only_) {
        const Status status = co_await refcounts_.load(true);
        if (!status.ok()) co_return fail(damaged(*file_, "its refcount table is damaged"));
    }
    if (header_.snapshots > 0) {
        auto snapshots = co_await read_snapshots(*file_, header_);
        if (!snapshots) co_return fail(std::move(snapshots).error());
        snapshots_ = std::move(*snapshots);
    }
    if (!options_.snapshot.empty()) {
        auto chosen = co_await choose_snapshot();
        co_return chosen;
    }
    const Status status = co_await load_l1(header_.l1_offset, header_.l1_entries);
    if (!status.ok()) co_return fail(damaged(*file_, "its L1 table is damaged"));
    first_end_ = (file_->size() + geometry().cluster_size() - 1) & ~(geometry().cluster_size() - 1);
    co_return Result<>{};
}

Task<Result<>> Image::choose_snapshot() {
    auto found = std::ranges::find(snapshots_, options_.snapshot, &Snapshot::id);
    if (found == snapshots_.end()) found = std::ranges::find(snapshots_, options_.snapshot, &Snapshot::name);
    if (found == snapshots_.end())
        co_return fail(Error{"open snapshot", file_->name(), "it has no snapshot " + options_.snapshot,
                             "doppel disk info lists them"});
    if (found->disk_size > INT64_MAX || geometry().l1_entries(found->disk_size) > found->l1_entries)
        co_return fail(damaged(*file_, "a snapshot's L1 table is too small"));
    size_ = found->disk_size;
    const Status status = co_await load_l1(found->l1_offset, found->l1_entries);
    if (!status.ok()) co_return fail(damaged(*file_, "a snapshot's L1 table is damaged"));
    co_return Result<>{};
}

Task<Status> Image::load_l1(uint64_t offset, uint32_t entries) {
    const uint64_t bytes = uint64_t{entries} * 8;
    if (offset > file_->size() || bytes > file_->size() - offset + geometry().cluster_size()) co_return kIoError;
    std::vector<uint8_t> raw(bytes);
    DOPPEL_STORAGE_CHECK(co_await file_->read(offset, Buffers(std::span(raw))));
    l1_.resize(entries);
    for (size_t i = 0; i < entries; i++) l1_[i] = load_be<uint64_t>(&raw[i * 8]);
    co_return kOk;
}

// What the tables say cannot be: nothing is written any more, so that the damage does not grow. The next flush marks
// the file.
Status Image::corrupt(const char* what) {
    if (!corrupt_) log_warning("{}: the disk is corrupt: {}", file_->name(), what);
    corrupt_ = true;
    return kIoError;
}

Task<Status> Image::mark_corrupt() {
    if (header_.version >= 3 && !read_only_ && !header_.has(incompatible::kCorrupt)) {
        header_.incompatible |= incompatible::kCorrupt;
        DOPPEL_STORAGE_CHECK(co_await write_header());
        DOPPEL_STORAGE_CHECK(co_await file_->flush());
    }
    co_return kIoError;
}

Task<Status> Image::write_header() {
    const auto fields = encode_changing_fields(header_);
    co_return co_await file_->write(0, Buffers(std::span(fields)));
}

Task<Status> Image::begin_writing() {
    if (corrupt_) return ready(kIoError);
    return writing_ ? ready(kOk) : prepare_to_write();
}

// Once, before the first change: what other programs must know while, and after, this one writes.
Task<Status> Image::prepare_to_write() {
    const TaskLock::Guard guard = co_await allocation_.hold();
    if (writing_) co_return kOk;
    if (header_.bitmaps && (header_.autoclear & autoclear::kBitmaps) != 0) {
        // Bitmaps that follow changes would not know of these.
        DOPPEL_STORAGE_CHECK(co_await mark_bitmaps_in_use(*file_, header_));
    }
    const uint64_t autoclear = header_.autoclear & (autoclear::kBitmaps | autoclear::kRawExternal);
    const uint64_t incompatible = header_.incompatible | (header_.lazy_refcounts() ? incompatible::kDirty : 0);
    if (autoclear != header_.autoclear || incompatible != header_.incompatible) {
        header_.autoclear = autoclear;
        header_.incompatible = incompatible;
        DOPPEL_STORAGE_CHECK(co_await write_header());
        DOPPEL_STORAGE_CHECK(co_await file_->flush());
    }
    writing_ = true;
    co_return kOk;
}

Task<Status> Image::close() {
    if (read_only_) co_return kOk;
    DOPPEL_STORAGE_CHECK(co_await flush());
    // What that made free has changed refcounts again.
    DOPPEL_STORAGE_CHECK(co_await flush());
    if (writing_ && !corrupt_) {
        if (refcounts_.cache().dirty() > 0 || refcounts_.table_dirty()) {  // lazy ones
            auto copies = refcounts_.cache().take_dirty();
            DOPPEL_STORAGE_CHECK(co_await refcounts_.cache().write(copies));
            refcounts_.cache().settle(copies);
            const Refcounts::TableCopy table = refcounts_.take_dirty_table();
            DOPPEL_STORAGE_CHECK(co_await refcounts_.write_table(table));
            DOPPEL_STORAGE_CHECK(co_await file_->flush());
        }
        if (header_.has(incompatible::kDirty)) {
            header_.incompatible &= ~incompatible::kDirty;
            DOPPEL_STORAGE_CHECK(co_await write_header());
        }
        const uint64_t end = std::max(first_end_, refcounts_.end());
        if (file_->grows() && file_->size() > end) {
            auto trimmed = co_await file_->resize(end, Preallocation::kOff);
            if (!trimmed) co_return kIoError;
        }
        writing_ = false;
    }
    DOPPEL_STORAGE_CHECK(co_await file_->close());
    if (!data_) co_return kOk;
    co_return co_await data_->close();
}

}  // namespace doppel::storage::qcow2
