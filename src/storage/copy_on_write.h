// A layer that takes all changes, in a file of its own without a name: what is below stays as it is, and the changes
// are gone with the layer.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "storage/block_device.h"
#include "storage/io_context.h"
#include "storage/range_locks.h"

namespace doppel::storage {

class CopyOnWrite : public Filter {
  public:
    // `changes` is as long as `below`, or grows, and reads as zeroes; its content is the layer's from then on.
    CopyOnWrite(std::unique_ptr<BlockDevice> below, std::unique_ptr<BlockDevice> changes);
    // With a file in `folder` that has no name, and takes as much room as differs.
    static Result<std::unique_ptr<CopyOnWrite>> create(IoContext& io, std::unique_ptr<BlockDevice> below,
                                                       const std::filesystem::path& folder);

    bool read_only() const override { return false; }
    Task<Result<>> resize(uint64_t size, Preallocation preallocation) override {
        return BlockDevice::resize(size, preallocation);
    }
    Task<Status> close() override { return ready(kOk); }

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override;
    Task<Status> do_write(uint64_t offset, Buffers from) override;
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
    Task<Status> do_discard(uint64_t offset, uint64_t length) override;
    Task<Status> do_flush() override { return ready(kOk); }  // nothing of it lasts
    Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) override;

  private:
    static constexpr uint64_t kBlock = 4096;
    static constexpr uint64_t kBlocksPerPage = 32768;  // one page of the map is 4 KiB, made when needed

    bool changed(uint64_t block) const;
    void mark(uint64_t first, uint64_t last);  // blocks, both included
    uint64_t run(uint64_t offset, uint64_t length, bool& is_changed) const;
    bool all_changed(uint64_t offset, uint64_t length) const;
    Task<Status> take_over(uint64_t block);
    Task<Status> take_over_edges(uint64_t offset, uint64_t length);

    std::unique_ptr<BlockDevice> changes_;
    std::vector<std::vector<uint64_t>> map_;  // a bit a block
    RangeLocks locks_;                        // of blocks: exclusive where they become changed
};

}  // namespace doppel::storage
