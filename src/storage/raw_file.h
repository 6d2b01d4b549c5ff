// Files and the host's block devices, as they are.
#pragma once

#include <filesystem>
#include <memory>

#include "base/unique_fd.h"
#include "storage/block_device.h"
#include "storage/io_context.h"

namespace doppel::storage {

struct RawOptions {
    bool writable = false;
    bool container = false;  // the inside of an image format: a regular file grows by what is written behind its end
    bool share = false;      // takes no lock: for a look at what others write
};

class RawFile : public BlockDevice {
  public:
    // `io` outlives the device. FIFOs, directories and the like are refused.
    static Result<std::unique_ptr<RawFile>> open(IoContext& io, const std::filesystem::path& path,
                                                 const RawOptions& options);

    // Of a file that is open, and locked as far as that is wanted: works in a confined process.
    static Result<std::unique_ptr<RawFile>> adopt(IoContext& io, UniqueFd file, const std::filesystem::path& path,
                                                  const RawOptions& options);

    uint64_t size() const override { return size_; }
    bool read_only() const override { return !options_.writable; }
    std::string name() const override { return path_.string(); }
    bool grows() const override { return options_.container && regular_; }
    int fd() const { return file_.get(); }
    bool regular() const { return regular_; }
    IoContext& io() { return io_; }
    Status extend(uint64_t size) override;
    Task<Result<>> resize(uint64_t size, Preallocation preallocation) override;

  protected:
    Task<Status> do_read(uint64_t offset, Buffers to) override;
    Task<Status> do_write(uint64_t offset, Buffers from) override;
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
    Task<Status> do_discard(uint64_t offset, uint64_t length) override;
    Task<Status> do_flush() override;
    Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) override;

  private:
    RawFile(IoContext& io, UniqueFd file, const std::filesystem::path& path, const RawOptions& options)
        : io_(io), file_(std::move(file)), path_(path), options_(options) {}
    Result<> find_size();
    Task<Status> read_part(uint64_t offset, std::span<uint8_t> to);
    Task<Status> read_parts(uint64_t offset, Buffers to);
    Task<Status> write_part(uint64_t offset, std::span<uint8_t> from);
    Task<Status> write_parts(uint64_t offset, Buffers from);
    void note_end(uint64_t end) { size_ = std::max(size_, end); }

    IoContext& io_;
    UniqueFd file_;
    std::filesystem::path path_;
    RawOptions options_;
    bool regular_ = true;
    bool writes_block_ = false;  // see IoOperation::blocking
    uint64_t size_ = 0;
    bool zeroes_ranges_ = true, punches_holes_ = true;  // until the file system says that it cannot
};

// Makes a new, empty file of `size` bytes, which nobody may have under that name yet.
Result<> create_raw_file(const std::filesystem::path& path, uint64_t size);

}  // namespace doppel::storage
