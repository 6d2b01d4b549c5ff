#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/progress.h"
#include "base/sizes.h"
#include "disk/opening.h"
#include "disk/target.h"
#include "disk/verbs.h"
#include "storage/at_once.h"
#include "storage/qcow2/compression.h"

namespace doppel::disk {

namespace {

using storage::BlockDevice;
using storage::Buffers;
using storage::kOk;
using storage::Status;
using storage::Task;
namespace storage_disk = storage::disk;
namespace qcow2 = storage::qcow2;

constexpr uint64_t kChunk = 2 << 20;
constexpr size_t kAtOnce = 8;
constexpr uint64_t kGrain = 4096;  // zeroes of this size, and at multiples of it, take no room in the copy

bool all_zero(std::span<const uint8_t> bytes) {
    return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

class Copy {
  public:
    Copy(storage::IoContext& io, BlockDevice& from, storage_disk::Disk& to, const ConvertCommand& command)
        : io_(io),
          from_(from),
          to_(*to.device),
          qcow2_(to.qcow2),
          compress_(command.compress),
          on_backing_(!command.backing.empty()),
          progress_("convert", from.size(), ProgressUnit::kBytes) {}

    // The first failure; `failed_reading()` says at which end.
    Task<Status> run() {
        const size_t chunks = (from_.size() + kChunk - 1) / kChunk;
        auto one = [this](size_t i) { return copy_chunk(i * kChunk); };
        co_return co_await storage::for_each_at_once(chunks, kAtOnce, one);
    }
    bool failed_reading() const { return failed_reading_; }
    void write_zeroes() { writes_zeroes_ = true; }  // the target is not new

  private:
    Task<Status> copy_chunk(uint64_t offset) {
        const uint64_t end = std::min(offset + kChunk, from_.size());
        std::vector<uint8_t> buffer = take_buffer();
        Status status = kOk;
        while (status.ok() && offset < end) {
            const auto extent = co_await from_.extent(offset, end - offset);
            if (!extent) {
                failed_reading_ = true;
                status = storage::kIoError;
                break;
            }
            // Compressed clusters are written whole.
            const uint64_t length = compress_ ? end - offset : extent->length;
            const bool inherited = on_backing_ && (!extent->allocated || extent->depth > 0);
            if (extent->zero && !compress_)
                status = co_await copy_zeroes(offset, length, inherited);
            else if (!inherited || compress_)
                status = co_await copy_data(offset, std::span(buffer).first(length));
            offset += length;
            progress_.advance(length);
        }
        free_.push_back(std::move(buffer));
        co_return status;
    }

    std::vector<uint8_t> take_buffer() {
        if (free_.empty()) return std::vector<uint8_t>(kChunk);
        std::vector<uint8_t> buffer = std::move(free_.back());
        free_.pop_back();
        return buffer;
    }

    // A new disk reads as zeroes by itself.
    Task<Status> copy_zeroes(uint64_t offset, uint64_t length, bool inherited) {
        if (inherited || (!on_backing_ && !writes_zeroes_)) return storage::ready(kOk);
        return to_.write_zeroes(offset, length, true);
    }

    Task<Status> copy_data(uint64_t offset, std::span<uint8_t> bytes) {
        if (const Status status = co_await from_.read(offset, Buffers(bytes)); !status.ok()) {
            failed_reading_ = true;
            co_return status;
        }
        if (compress_) co_return co_await compress(offset, bytes);
        while (!bytes.empty()) {
            const bool zero = all_zero(bytes.first(std::min(kGrain, bytes.size())));
            size_t length = std::min(kGrain, bytes.size());
            while (length < bytes.size() &&
                   all_zero(bytes.subspan(length, std::min(kGrain, bytes.size() - length))) == zero)
                length = std::min(length + kGrain, bytes.size());
            Status status;
            if (zero)
                status = co_await copy_zeroes(offset, length, false);
            else
                status = co_await to_.write(offset, Buffers(bytes.first(length)));
            if (!status.ok()) co_return status;
            offset += length;
            bytes = bytes.subspan(length);
        }
        co_return kOk;
    }

    Task<Status> compress(uint64_t offset, std::span<uint8_t> bytes) {
        const uint64_t size = to_.granularity();
        while (!bytes.empty()) {
            const size_t length = std::min<uint64_t>(size, bytes.size());
            if (!all_zero(bytes.first(length))) {
                std::vector<uint8_t> cluster(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
                cluster.resize(size);  // the last one is filled up
                std::vector<uint8_t> packed;
                auto work = [&] {
                    packed = qcow2::compress(qcow2_->header().compression, cluster);
                    return 0;
                };
                co_await io_.call(work);
                Status status = storage::kNotSupported;  // also: the cluster has its place already
                if (!packed.empty()) status = co_await qcow2_->write_compressed(offset, packed);
                if (status == storage::kNotSupported) status = co_await to_.write(offset, Buffers(bytes.first(length)));
                if (!status.ok()) co_return status;
            }
            offset += length;
            bytes = bytes.subspan(length);
        }
        co_return kOk;
    }

    storage::IoContext& io_;
    BlockDevice& from_;
    BlockDevice& to_;
    qcow2::Image* qcow2_;
    const bool compress_, on_backing_;
    bool writes_zeroes_ = false;
    bool failed_reading_ = false;
    std::vector<std::vector<uint8_t>> free_;
    Progress progress_;
};

Result<NewDisk> wanted_disk(const ConvertCommand& command, uint64_t size) {
    NewDisk wanted;
    wanted.size = size;
    DOPPEL_TRY(wanted.format, storage_disk::parse_format(command.target_format));
    DOPPEL_TRY(wanted.options, parse_format_options(command.options));
    const bool is_qcow2 = wanted.format == storage_disk::Format::kQcow2;
    if (!command.backing.empty()) wanted.options.qcow2.backing_file = command.backing;
    if (!command.backing_format.empty()) wanted.options.qcow2.backing_format = command.backing_format;
    if (wanted.options.qcow2.backing_file && command.backing.empty())
        return fail(Error::usage("-o backing_file", "the copy must know what it shares", "give the file with -B"));
    if (!is_qcow2 && (command.compress || !command.backing.empty()))
        return fail(Error::usage(command.compress ? "-c" : "-B", "raw disks cannot", "give -O qcow2"));
    if (command.compress && (wanted.options.qcow2.data_file || !command.backing.empty()))
        return fail(Error::usage("-c", "disks with a data file or a backing disk cannot be compressed", ""));
    if (!command.backing.empty() && !wanted.options.qcow2.backing_format) {
        DOPPEL_TRY(const auto path, storage_disk::resolve_name(command.target, command.backing));
        DOPPEL_TRY(const auto format, storage_disk::recognise(path));
        wanted.options.qcow2.backing_format = std::string(storage_disk::name_of(format));
    }
    return wanted;
}

}  // namespace

Result<int> convert(const ConvertCommand& command) {
    DOPPEL_TRY(auto io, storage::IoContext::create());
    DOPPEL_TRY(auto source, open(*io, command.source, command.source_format, {.snapshot = command.snapshot}));
    DOPPEL_TRY(const NewDisk wanted, wanted_disk(command, source.device->size()));
    DOPPEL_TRY(Target target, Target::prepare(command.target));
    {
        DOPPEL_TRY(auto disk, make(*io, target.path(), wanted));
        Copy copy(*io, *source.device, disk, command);
        if (target.in_place() && wanted.format == storage_disk::Format::kRaw) copy.write_zeroes();
        const Status status = io->run(copy.run());
        if (!status.ok()) {
            const bool reading = copy.failed_reading();
            return fail(Error::system(reading ? "read disk" : "write disk", reading ? command.source : command.target,
                                      status.error_number()));
        }
        DOPPEL_CHECK(close(*io, *disk.device, command.target));
    }
    DOPPEL_CHECK(target.commit());
    if (command.as_json)
        std::puts(
            nlohmann::json{{"path", command.target}, {"format", command.target_format}, {"virtual_size", wanted.size}}
                .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                .c_str());
    return 0;
}

}  // namespace doppel::disk
