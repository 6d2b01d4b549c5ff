#include <algorithm>

#include "storage/qcow2/compression.h"
#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

Task<Status> Image::do_read(uint64_t offset, Buffers to) {
    RangeLocks::Hold hold(locks_, cluster_of(offset), cluster_of(offset + to.size() - 1), false);
    co_await hold;
    Run run;
    DOPPEL_STORAGE_CHECK(co_await find_run(offset, to.size(), run));
    if (run.kind == Kind::kData && run.length == to.size()) co_return co_await data().read(run.host, to);
    co_return co_await read_mapped(offset, to);
}

// The caller holds the range.
Task<Status> Image::read_mapped(uint64_t offset, Buffers to) {
    while (!to.empty()) {
        Run run;
        DOPPEL_STORAGE_CHECK(co_await find_run(offset, to.size(), run));
        const Buffers part = to.slice(0, run.length);
        switch (run.kind) {
            case Kind::kData:
                DOPPEL_STORAGE_CHECK(co_await data().read(run.host, part));
                break;
            case Kind::kZero:
                part.fill(0);
                break;
            case Kind::kBacking:
                DOPPEL_STORAGE_CHECK(co_await read_backing(offset, part));
                break;
            case Kind::kCompressed:
                DOPPEL_STORAGE_CHECK(co_await read_compressed(run.entry, geometry().offset_in_cluster(offset), part));
                break;
        }
        offset += run.length;
        to = to.from(run.length);
    }
    co_return kOk;
}

// Zeroes behind the backing disk's end, and without one.
Task<Status> Image::read_backing(uint64_t offset, Buffers to) {
    const uint64_t end = backing_ ? backing_->size() : 0;
    const uint64_t there = std::min(to.size(), end > offset ? end - offset : 0);
    if (there < to.size()) to.from(there).fill(0);
    if (there == 0) co_return kOk;
    co_return co_await backing_->read(offset, to.slice(0, there));
}

Task<Status> Image::read_compressed(const Entry& entry, uint64_t offset_in_cluster, Buffers to) {
    if (packed_host_ != entry.host || unpacked_.empty()) {
        const uint64_t end = file_->size();
        if (entry.host >= end) co_return corrupt("compressed data lies behind the file's end");
        std::vector<uint8_t> packed(std::min(entry.compressed, end - entry.host));
        DOPPEL_STORAGE_CHECK(co_await file_->read(entry.host, Buffers(std::span(packed))));
        std::vector<uint8_t> unpacked(geometry().cluster_size());
        // The data's fault, not the tables': the rest of the image is as good as it was.
        if (!decompress(header_.compression, packed, unpacked)) co_return kIoError;
        packed_host_ = entry.host;
        unpacked_ = std::move(unpacked);
    }
    to.copy_from(unpacked_.data() + offset_in_cluster);
    co_return kOk;
}

Task<Result<Extent>> Image::do_extent(uint64_t offset, uint64_t length) {
    RangeLocks::Hold hold(locks_, cluster_of(offset), cluster_of(offset + length - 1), false);
    co_await hold;
    Run run;
    const Status status = co_await find_run(offset, length, run);
    if (!status.ok()) co_return fail(Error::system("map disk", name(), status.error_number()));
    Extent extent{.length = run.length, .allocated = run.kind != Kind::kBacking, .file = name()};
    switch (run.kind) {
        case Kind::kData:
            extent.data = true;
            extent.host_offset = run.host;
            extent.file = data().name();
            break;
        case Kind::kCompressed:
            extent.data = extent.compressed = true;
            break;
        case Kind::kZero:
            extent.zero = true;
            break;
        case Kind::kBacking:
            if (known_zero_below(offset)) {
                extent.zero = true;
                break;
            }
            {
                const uint64_t below = std::min(run.length, backing_->size() - offset);
                auto found = co_await backing_->extent(offset, below);
                if (!found) co_return found;
                extent = std::move(*found);
                extent.depth++;
            }
            break;
    }
    co_return extent;
}

}  // namespace doppel::storage::qcow2
