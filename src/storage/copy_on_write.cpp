#include "storage/copy_on_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/unique_fd.h"
#include "storage/raw_file.h"

namespace doppel::storage {

CopyOnWrite::CopyOnWrite(std::unique_ptr<BlockDevice> lower, std::unique_ptr<BlockDevice> changes)
    : Filter(std::move(lower)), changes_(std::move(changes)) {
    map_.resize((size() / kBlock + kBlocksPerPage) / kBlocksPerPage);
}

Result<std::unique_ptr<CopyOnWrite>> CopyOnWrite::create(IoContext& io, std::unique_ptr<BlockDevice> lower,
                                                         const std::filesystem::path& folder) {
    const UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) return fail(Error::system("make file for changes", folder.string(), errno));
    if (::ftruncate(file.get(), static_cast<off_t>(lower->size())) != 0)
        return fail(Error::system("make file for changes", folder.string(), errno));
    // Nobody else can find it, so it needs no lock.
    DOPPEL_TRY(auto changes, RawFile::open(io, fmt::format("/proc/self/fd/{}", file.get()),
                                           {.writable = true, .container = true, .share = true}));
    return std::make_unique<CopyOnWrite>(std::move(lower), std::move(changes));
}

bool CopyOnWrite::changed(uint64_t block) const {
    const auto& page = map_[block / kBlocksPerPage];
    return !page.empty() && (page[block % kBlocksPerPage / 64] >> (block % 64) & 1) != 0;
}

void CopyOnWrite::mark(uint64_t first, uint64_t last) {
    for (uint64_t block = first; block <= last; block++) {
        auto& page = map_[block / kBlocksPerPage];
        if (page.empty()) page.resize(kBlocksPerPage / 64);
        page[block % kBlocksPerPage / 64] |= uint64_t{1} << (block % 64);
    }
}

// How much of the range, from its beginning, is of one kind.
uint64_t CopyOnWrite::run(uint64_t offset, uint64_t length, bool& is_changed) const {
    is_changed = changed(offset / kBlock);
    uint64_t end = (offset / kBlock + 1) * kBlock;
    while (end < offset + length && changed(end / kBlock) == is_changed) end += kBlock;
    return std::min(end - offset, length);
}

bool CopyOnWrite::all_changed(uint64_t offset, uint64_t length) const {
    bool is_changed = false;
    return run(offset, length, is_changed) == length && is_changed;
}

Task<Status> CopyOnWrite::do_read(uint64_t offset, Buffers to) {
    RangeLocks::Hold hold(locks_, offset / kBlock, (offset + to.size() - 1) / kBlock, false);
    co_await hold;
    while (!to.empty()) {
        bool is_changed = false;
        const uint64_t length = run(offset, to.size(), is_changed);
        BlockDevice& from = is_changed ? *changes_ : below();
        DOPPEL_STORAGE_CHECK(co_await from.read(offset, to.slice(0, length)));
        offset += length;
        to = to.from(length);
    }
    co_return kOk;
}

// The block's old content becomes the layer's, before a part of it changes.
Task<Status> CopyOnWrite::take_over(uint64_t block) {
    std::array<uint8_t, kBlock> bytes{};
    const auto there = std::span(bytes).first(std::min(kBlock, size() - block * kBlock));
    DOPPEL_STORAGE_CHECK(co_await below().read(block * kBlock, Buffers(there)));
    DOPPEL_STORAGE_CHECK(co_await changes_->write(block * kBlock, Buffers(there)));
    mark(block, block);
    co_return kOk;
}

Task<Status> CopyOnWrite::take_over_edges(uint64_t offset, uint64_t length) {
    const uint64_t end = offset + length;
    if (offset % kBlock != 0 && !changed(offset / kBlock)) DOPPEL_STORAGE_CHECK(co_await take_over(offset / kBlock));
    // The block at the end may be the one at the beginning.
    if (end % kBlock != 0 && end != size() && !changed(end / kBlock))
        DOPPEL_STORAGE_CHECK(co_await take_over(end / kBlock));
    co_return kOk;
}

Task<Status> CopyOnWrite::do_write(uint64_t offset, Buffers from) {
    RangeLocks::Hold hold(locks_, offset / kBlock, (offset + from.size() - 1) / kBlock,
                          !all_changed(offset, from.size()));
    co_await hold;
    DOPPEL_STORAGE_CHECK(co_await take_over_edges(offset, from.size()));
    DOPPEL_STORAGE_CHECK(co_await changes_->write(offset, from));
    mark(offset / kBlock, (offset + from.size() - 1) / kBlock);
    co_return kOk;
}

Task<Status> CopyOnWrite::do_write_zeroes(uint64_t offset, uint64_t length, bool) {
    RangeLocks::Hold hold(locks_, offset / kBlock, (offset + length - 1) / kBlock, true);
    co_await hold;
    DOPPEL_STORAGE_CHECK(co_await take_over_edges(offset, length));
    DOPPEL_STORAGE_CHECK(co_await changes_->write_zeroes(offset, length, true));
    mark(offset / kBlock, (offset + length - 1) / kBlock);
    co_return kOk;
}

// Whole blocks lose their room and read as zeroes.
Task<Status> CopyOnWrite::do_discard(uint64_t offset, uint64_t length) {
    const uint64_t begin = (offset + kBlock - 1) / kBlock * kBlock, end = (offset + length) / kBlock * kBlock;
    if (begin >= end) return ready(kOk);
    return do_write_zeroes(begin, end - begin, true);
}

Task<Result<Extent>> CopyOnWrite::do_extent(uint64_t offset, uint64_t length) {
    bool is_changed = false;
    length = run(offset, length, is_changed);
    BlockDevice& from = is_changed ? *changes_ : below();
    auto extent = co_await from.extent(offset, length);
    if (extent && !is_changed) extent->depth++;
    co_return extent;
}

}  // namespace doppel::storage
