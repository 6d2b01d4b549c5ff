#include "storage/qcow2/slice_cache.h"

#include <algorithm>

#include "storage/at_once.h"

namespace doppel::storage::qcow2 {

uint8_t* SliceCache::find(uint64_t offset) {
    const auto found = by_offset_.find(slice_of(offset));
    if (found == by_offset_.end()) return nullptr;
    if (found->second != slices_.begin()) slices_.splice(slices_.begin(), slices_, found->second);
    return &found->second->bytes[offset - found->first];
}

Task<Status> SliceCache::load(uint64_t offset) {
    offset = slice_of(offset);
    if (by_offset_.contains(offset)) co_return kOk;
    if (auto under_way = loading_.find(offset); under_way != loading_.end()) {
        const std::shared_ptr<WaitingTasks> waiting = under_way->second;
        co_await waiting->wait();
        co_return kOk;  // the caller looks whether it succeeded, and tries itself
    }
    auto waiting = std::make_shared<WaitingTasks>();
    loading_.emplace(offset, waiting);
    std::vector<uint8_t> bytes(slice_size_);
    const Status status = co_await file_.read(offset, Buffers(std::span(bytes)));
    const auto mine = loading_.find(offset);
    const bool wanted = mine != loading_.end() && mine->second == waiting;  // not forgotten meanwhile
    if (wanted) loading_.erase(mine);
    if (status.ok() && wanted && !by_offset_.contains(offset)) insert(offset, std::move(bytes));
    waiting->wake_all();
    co_return status;
}

void SliceCache::insert(uint64_t offset, std::vector<uint8_t> bytes) {
    make_room();
    slices_.push_front({offset, std::move(bytes)});
    by_offset_.emplace(offset, slices_.begin());
}

void SliceCache::make_room() {
    if (slices_.size() < capacity_) return;
    constexpr int kLooks = 16;  // dirty ones may stand at the end; then there are some more for a while
    auto at = slices_.end();
    for (int i = 0; i < kLooks && at != slices_.begin(); i++) {
        --at;
        if (at->dirty || at->in_transit) {
            auto busy = at++;
            slices_.splice(slices_.begin(), slices_, busy);
            continue;
        }
        by_offset_.erase(at->offset);
        at = slices_.erase(at);
        if (slices_.size() < capacity_) return;
    }
}

void SliceCache::mark_dirty(uint64_t offset) {
    Slice& slice = *by_offset_.at(slice_of(offset));
    if (!slice.dirty) dirty_++;
    slice.dirty = true;
}

void SliceCache::forget(uint64_t offset, uint64_t length) {
    for (uint64_t at = slice_of(offset); at < offset + length; at += slice_size_) {
        loading_.erase(at);
        const auto found = by_offset_.find(at);
        if (found == by_offset_.end()) continue;
        if (found->second->dirty) dirty_--;
        slices_.erase(found->second);
        by_offset_.erase(found);
    }
}

std::vector<SliceCache::Copy> SliceCache::take_dirty() {
    std::vector<Copy> copies;
    if (dirty_ == 0) return copies;
    copies.reserve(dirty_);
    for (Slice& slice : slices_) {
        if (!slice.dirty) continue;
        copies.push_back({slice.offset, slice.bytes});
        slice.dirty = false;
        slice.in_transit = true;
    }
    dirty_ = 0;
    std::ranges::sort(copies, {}, &Copy::offset);
    return copies;
}

Task<Status> SliceCache::write(std::span<const Copy> copies) {
    constexpr size_t kAtOnce = 16;
    auto one = [&](size_t i) { return file_.write(copies[i].offset, Buffers(std::span(copies[i].bytes))); };
    co_return co_await for_each_at_once(copies.size(), kAtOnce, one);
}

void SliceCache::settle(std::span<const Copy> copies) {
    for (const Copy& copy : copies) {
        const auto found = by_offset_.find(copy.offset);
        if (found != by_offset_.end()) found->second->in_transit = false;
    }
}

void SliceCache::give_back(std::vector<Copy> copies) {
    for (Copy& copy : copies) {
        if (!by_offset_.contains(copy.offset)) continue;  // forgotten meanwhile: nobody needs it
        by_offset_.at(copy.offset)->in_transit = false;
        mark_dirty(copy.offset);
    }
}

}  // namespace doppel::storage::qcow2
