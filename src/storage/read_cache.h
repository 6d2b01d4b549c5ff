// Keeps what was read lately, for disks that are slow to read: the host's own cache serves files better.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "storage/block_device.h"

namespace doppel::storage {

class ReadCache : public Filter {
  public:
    static constexpr uint64_t kBlock = 65536;
    ReadCache(std::unique_ptr<BlockDevice> below, size_t most_bytes)
        : Filter(std::move(below)), most_blocks_(std::max<size_t>(most_bytes / kBlock, 1)) {}

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override;
    Task<Status> do_write(uint64_t offset, Buffers from) override;
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
    Task<Status> do_discard(uint64_t offset, uint64_t length) override;

  private:
    struct Block {
        uint64_t number;
        std::vector<uint8_t> bytes;
    };
    using Blocks = std::list<Block>;  // the most recently used first
    const Block* find(uint64_t number);
    void keep(uint64_t number, std::vector<uint8_t> bytes);
    void forget(uint64_t offset, uint64_t length);

    const size_t most_blocks_;
    Blocks blocks_;
    std::unordered_map<uint64_t, Blocks::iterator> by_number_;
    uint64_t changes_ = 0;  // counts writes' beginnings and ends: what was read across one is not kept
    unsigned writing_ = 0;
};

}  // namespace doppel::storage
