// A disk: what virtual hardware, image formats and tools read and write.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "storage/buffers.h"
#include "storage/status.h"
#include "storage/task.h"

namespace doppel::storage {

// How a range of a disk is kept. `length` counts from the offset that was asked for, and is never zero.
struct Extent {
    uint64_t length = 0;
    bool zero = false;       // reads as zeroes
    bool data = false;       // takes room of its own
    bool allocated = false;  // decided in the layer that was asked, not in one below
    bool compressed = false;
    unsigned depth = 0;                   // layers below the one that was asked
    std::optional<uint64_t> host_offset;  // where the bytes lie in `file`, if they do as they are
    std::string file;
};

enum class Preallocation { kOff, kMetadata, kFalloc, kFull };

// One thread owns a device and everything below it: it makes the requests, and tasks resume there. Any number of
// requests may be under way; those that overlap are carried out in any order. A write counts as durable when a flush
// that began after its end has ended. Offsets and lengths are bytes, of any alignment.
//
// A status with no_space() means that nothing is damaged and the same request can be made again when there is room.
class BlockDevice {
  public:
    BlockDevice() = default;
    virtual ~BlockDevice() = default;
    BlockDevice(const BlockDevice&) = delete;
    BlockDevice& operator=(const BlockDevice&) = delete;

    virtual uint64_t size() const = 0;
    virtual bool read_only() const = 0;
    virtual std::string name() const = 0;  // for messages and listings: the path
    // The size, a power of two, that requests and discards are best multiples of.
    virtual uint32_t granularity() const { return 4096; }
    // Reads as zeroes where nothing was written yet, beyond the present end, too (a regular file that grows).
    virtual bool grows() const { return false; }

    Task<Status> read(uint64_t offset, Buffers to);
    Task<Status> write(uint64_t offset, Buffers from);
    // `may_unmap`: the range may lose its room.
    Task<Status> write_zeroes(uint64_t offset, uint64_t length, bool may_unmap);
    // A hint: the range's content does not matter any more. What it reads as is not defined.
    Task<Status> discard(uint64_t offset, uint64_t length);
    Task<Status> flush();
    // The range must not be empty.
    Task<Result<Extent>> extent(uint64_t offset, uint64_t length);

    // Makes a device that grows at least that long, at once. What was added reads as zeroes.
    virtual Status extend(uint64_t) { return kOk; }

    // No request may be under way during these.
    virtual Task<Result<>> resize(uint64_t size, Preallocation preallocation);
    // Brings everything to rest, as the last request. A device that is only destroyed is as after a crash.
    virtual Task<Status> close() { return flush(); }

  protected:
    // The range is inside, not empty, and writable where that matters.
    virtual Task<Status> do_read(uint64_t offset, Buffers to) = 0;
    virtual Task<Status> do_write(uint64_t offset, Buffers from) = 0;
    virtual Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) = 0;
    virtual Task<Status> do_discard(uint64_t offset, uint64_t length) = 0;
    virtual Task<Status> do_flush() = 0;
    virtual Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) = 0;

  private:
    bool inside(uint64_t offset, uint64_t length) const;
    Status check_write(uint64_t offset, uint64_t length) const;
};

// A layer over another device, which it owns; passes on what it does not override.
class Filter : public BlockDevice {
  public:
    explicit Filter(std::unique_ptr<BlockDevice> below) : below_(std::move(below)) {}
    uint64_t size() const override { return below_->size(); }
    bool read_only() const override { return below_->read_only(); }
    std::string name() const override { return below_->name(); }
    uint32_t granularity() const override { return below_->granularity(); }
    bool grows() const override { return below_->grows(); }
    Status extend(uint64_t size) override { return below_->extend(size); }
    Task<Result<>> resize(uint64_t size, Preallocation preallocation) override {
        return below_->resize(size, preallocation);
    }
    Task<Status> close() override { return below_->close(); }

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override { return below_->read(offset, to); }
    Task<Status> do_write(uint64_t offset, Buffers from) override { return below_->write(offset, from); }
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
        return below_->write_zeroes(offset, length, may_unmap);
    }
    Task<Status> do_discard(uint64_t offset, uint64_t length) override { return below_->discard(offset, length); }
    Task<Status> do_flush() override { return below_->flush(); }
    Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) override { return below_->extent(offset, length); }
    BlockDevice& below() { return *below_; }
    const BlockDevice& below() const { return *below_; }

  private:
    std::unique_ptr<BlockDevice> below_;
};

// Writes zeroes as data, in pieces: for devices that know no other way.
Task<Status> write_zeroes_as_data(BlockDevice& device, uint64_t offset, uint64_t length);

}  // namespace doppel::storage
