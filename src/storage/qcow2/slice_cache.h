// Pieces of a file's tables in memory, written back when their owner says so: its order is what a crash leaves intact.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/block_device.h"
#include "storage/waiting.h"

namespace doppel::storage::qcow2 {

class SliceCache {
  public:
    // `slice_size` divides clusters; about `capacity` slices are kept, and as many more as are dirty.
    SliceCache(BlockDevice& file, uint32_t slice_size, size_t capacity)
        : file_(file), slice_size_(slice_size), capacity_(capacity) {}

    uint32_t slice_size() const { return slice_size_; }
    uint64_t slice_of(uint64_t offset) const { return offset & ~uint64_t{slice_size_ - 1}; }

    // The bytes from `offset`, which lie in one slice, or null where it must be loaded first. Good until the caller
    // waits for anything.
    uint8_t* find(uint64_t offset);
    // Once it is done, `find` finds the slice, unless others were faster: look, and load again.
    Task<Status> load(uint64_t offset);
    // After a change. The slice is in memory.
    void mark_dirty(uint64_t offset);
    // The range's content has changed in the file, or is not a table any more.
    void forget(uint64_t offset, uint64_t length);

    size_t dirty() const { return dirty_; }

    // Copies of what is dirty, which is then clean. They are written, and either settled, when they are durable, or
    // given back after a failure, dirty again.
    struct Copy {
        uint64_t offset;
        std::vector<uint8_t> bytes;
    };
    std::vector<Copy> take_dirty();
    Task<Status> write(std::span<const Copy> copies);
    void settle(std::span<const Copy> copies);
    void give_back(std::vector<Copy> copies);

  private:
    struct Slice {
        uint64_t offset;
        std::vector<uint8_t> bytes;
        bool dirty = false;
        bool in_transit = false;  // taken and not settled: the file's content may be older
    };
    using Slices = std::list<Slice>;  // the most recently used first
    void insert(uint64_t offset, std::vector<uint8_t> bytes);
    void make_room();

    BlockDevice& file_;
    const uint32_t slice_size_;
    const size_t capacity_;
    Slices slices_;
    std::unordered_map<uint64_t, Slices::iterator> by_offset_;
    std::unordered_map<uint64_t, std::shared_ptr<WaitingTasks>> loading_;
    size_t dirty_ = 0;
};

}  // namespace doppel::storage::qcow2
