#include "storage/read_cache.h"

#include <algorithm>

namespace doppel::storage {

const ReadCache::Block* ReadCache::find(uint64_t number) {
    const auto found = by_number_.find(number);
    if (found == by_number_.end()) return nullptr;
    blocks_.splice(blocks_.begin(), blocks_, found->second);
    return &*found->second;
}

void ReadCache::keep(uint64_t number, std::vector<uint8_t> bytes) {
    if (by_number_.contains(number)) return;
    if (blocks_.size() >= most_blocks_) {
        by_number_.erase(blocks_.back().number);
        blocks_.pop_back();
    }
    blocks_.push_front({number, std::move(bytes)});
    by_number_.emplace(number, blocks_.begin());
}

void ReadCache::forget(uint64_t offset, uint64_t length) {
    changes_++;
    const uint64_t first = offset / kBlock, last = (offset + length - 1) / kBlock;
    // Whichever are fewer.
    if (last - first > blocks_.size()) {
        for (auto at = blocks_.begin(); at != blocks_.end();) {
            const bool inside = at->number >= first && at->number <= last;
            if (inside) by_number_.erase(at->number);
            at = inside ? blocks_.erase(at) : std::next(at);
        }
        return;
    }
    for (uint64_t number = first; number <= last; number++) {
        const auto found = by_number_.find(number);
        if (found == by_number_.end()) continue;
        blocks_.erase(found->second);
        by_number_.erase(found);
    }
}

Task<Status> ReadCache::do_read(uint64_t offset, Buffers to) {
    while (!to.empty()) {
        const uint64_t number = offset / kBlock, inside = offset % kBlock;
        const uint64_t length = std::min(to.size(), kBlock - inside);
        if (const Block* block = find(number)) {
            to.slice(0, length).copy_from(&block->bytes[inside]);
        } else {
            std::vector<uint8_t> bytes(std::min(kBlock, size() - number * kBlock));
            const uint64_t changes = changes_;
            DOPPEL_STORAGE_CHECK(co_await below().read(number * kBlock, Buffers(std::span(bytes))));
            to.slice(0, length).copy_from(&bytes[inside]);
            if (changes == changes_ && writing_ == 0) keep(number, std::move(bytes));
        }
        offset += length;
        to = to.from(length);
    }
    co_return kOk;
}

Task<Status> ReadCache::do_write(uint64_t offset, Buffers from) {
    writing_++;
    const Status status = co_await below().write(offset, from);
    writing_--;
    forget(offset, from.size());
    co_return status;
}

Task<Status> ReadCache::do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
    writing_++;
    const Status status = co_await below().write_zeroes(offset, length, may_unmap);
    writing_--;
    forget(offset, length);
    co_return status;
}

Task<Status> ReadCache::do_discard(uint64_t offset, uint64_t length) {
    writing_++;
    const Status status = co_await below().discard(offset, length);
    writing_--;
    forget(offset, length);
    co_return status;
}

}  // namespace doppel::storage
