#include "device/virtio/block/device.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "base/byte_order.h"
#include "storage/at_once.h"

namespace doppel::device::virtio::block {

namespace {

using storage::Status;
using storage::Task;

constexpr uint32_t kClassStorage = 0x010000;
constexpr uint64_t kWriteback = uint64_t{1} << VIRTIO_BLK_F_CONFIG_WCE;
constexpr uint64_t kFlush = uint64_t{1} << VIRTIO_BLK_F_FLUSH;
constexpr uint32_t kWritebackOffset = offsetof(virtio_blk_config, wce);

uint8_t status_of(Status status) {
    if (status.ok()) return VIRTIO_BLK_S_OK;
    return status == storage::kNotSupported ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

Task<Status> write_through(storage::BlockDevice& disk, uint64_t offset, storage::Buffers from) {
    DOPPEL_STORAGE_CHECK(co_await disk.write(offset, from));
    co_return co_await disk.flush();
}

Task<Status> each_range(storage::BlockDevice& disk, const Request& request, bool flush) {
    constexpr size_t kAtOnce = 4;
    auto one = [&](size_t i) {
        const Range& range = request.ranges[i];
        return request.operation == Operation::kDiscard
                   ? disk.discard(range.offset, range.length)
                   : disk.write_zeroes(range.offset, range.length, range.may_unmap);
    };
    DOPPEL_STORAGE_CHECK(co_await storage::for_each_at_once(request.ranges.size(), kAtOnce, one));
    if (!flush) co_return storage::kOk;
    co_return co_await disk.flush();
}

}  // namespace

DiskDevice::DiskDevice(storage::BlockDevice& disk, DiskOptions options)
    : disk_(disk),
      options_(std::move(options)),
      shape_{disk.size() / kSector * kSector, disk.read_only()},
      queue_sizes_(std::clamp(options_.queues, 1u, kMaxQueues), kQueueSize) {}

DiskDevice::~DiskDevice() {
    *alive_ = false;
}

uint16_t DiskDevice::id() const {
    return VIRTIO_ID_BLOCK;
}

uint32_t DiskDevice::pci_class() const {
    return kClassStorage;
}

uint64_t DiskDevice::features() const {
    constexpr auto kBit = [](unsigned bit) { return uint64_t{1} << bit; };
    uint64_t features = kBit(VIRTIO_BLK_F_SEG_MAX) | kBit(VIRTIO_BLK_F_BLK_SIZE) | kBit(VIRTIO_BLK_F_TOPOLOGY);
    if (queue_sizes_.size() > 1) features |= kBit(VIRTIO_BLK_F_MQ);
    if (shape_.read_only) return features | kBit(VIRTIO_BLK_F_RO);
    return features | kFlush | kWriteback | kBit(VIRTIO_BLK_F_DISCARD) | kBit(VIRTIO_BLK_F_WRITE_ZEROES);
}

uint32_t DiskDevice::config_size() const {
    return offsetof(virtio_blk_config, max_secure_erase_sectors);
}

void DiskDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    const uint32_t granularity = std::max<uint32_t>(disk_.granularity(), kSector) / kSector;
    std::array<uint8_t, sizeof(virtio_blk_config)> raw{};
    auto put = [&raw](size_t at, auto value) { store_le(&raw[at], value); };
    put(offsetof(virtio_blk_config, capacity), shape_.bytes / kSector);
    // A header and a status beside the data (5.2.6) even where descriptors are no table.
    put(offsetof(virtio_blk_config, seg_max), uint32_t{kQueueSize - 2});
    put(offsetof(virtio_blk_config, blk_size), static_cast<uint32_t>(kSector));
    constexpr uint32_t kLargestBlock = 8;  // what a page of the guest's cache holds
    put(offsetof(virtio_blk_config, physical_block_exp),
        static_cast<uint8_t>(std::countr_zero(std::min(granularity, kLargestBlock))));
    put(offsetof(virtio_blk_config, min_io_size), static_cast<uint16_t>(std::min(granularity, kLargestBlock)));
    put(offsetof(virtio_blk_config, opt_io_size), granularity > kLargestBlock ? granularity : 0);
    put(kWritebackOffset, static_cast<uint8_t>(state_.writeback));
    put(offsetof(virtio_blk_config, num_queues), static_cast<uint16_t>(queue_sizes_.size()));
    put(offsetof(virtio_blk_config, max_discard_sectors), kMaxRangeSectors);
    put(offsetof(virtio_blk_config, max_discard_seg), kMaxRanges);
    put(offsetof(virtio_blk_config, discard_sector_alignment), granularity);
    put(offsetof(virtio_blk_config, max_write_zeroes_sectors), kMaxRangeSectors);
    put(offsetof(virtio_blk_config, max_write_zeroes_seg), kMaxRanges);
    put(offsetof(virtio_blk_config, write_zeroes_may_unmap), uint8_t{1});
    std::copy_n(&raw[offset], to.size(), to.begin());
}

void DiskDevice::write_config(uint32_t offset, std::span<const uint8_t> from) {
    if (offset == kWritebackOffset && from.size() == 1 && !shape_.read_only) state_.writeback = (from[0] & 1) != 0;
}

// 5.2.5.2: without a way to ask for durability every write has it.
bool DiskDevice::writes_back() const {
    return (features_ & kWriteback) != 0 ? state_.writeback : (features_ & kFlush) != 0;
}

void DiskDevice::notify(unsigned index) {
    Queue& from = transport().queue(index);
    uint32_t budget = from.rings().size;
    submitting_ = true;
    do {
        from.suppress_notifications();
        for (; budget > 0; budget--) {
            std::optional<Chain> chain = from.pop();
            if (!chain) break;
            take(index, std::move(*chain));
        }
    } while (budget > 0 && from.resume_notifications());
    submitting_ = false;
    if (budget == 0) transport().schedule(index);  // the driver was told not to notify
    give_back();
    transport().complete(index);
}

void DiskDevice::take(unsigned index, Chain chain) {
    auto request = std::make_unique<Request>(std::move(chain), index);
    switch (understand(*request, shape_)) {
        case Verdict::kGood:
            break;
        case Verdict::kFailed:
            return answer(*request, VIRTIO_BLK_S_IOERR, 0);
        case Verdict::kUnsupported:
            return answer(*request, VIRTIO_BLK_S_UNSUPP, 0);
        case Verdict::kNoRequest:
            return transport().queue(index).mark_broken();
    }
    if (request->operation == Operation::kIdentify) {
        const uint64_t written = identify(request->chain);
        return answer(*request, VIRTIO_BLK_S_OK, written);
    }
    under_way_++;
    submit(std::move(request));
}

void DiskDevice::submit(std::unique_ptr<Request> request) {
    Request& kept = *request;
    storage::start(carry_out(kept), [this, alive = alive_, request = std::move(request)](Status status) mutable {
        request->status = status;
        if (*alive) ended(std::move(request));
    });
}

Task<Status> DiskDevice::carry_out(Request& request) {
    switch (request.operation) {
        case Operation::kRead:
            return disk_.read(request.offset, storage::Buffers(request.parts));
        case Operation::kWrite:
            return writes_back() ? disk_.write(request.offset, storage::Buffers(request.parts))
                                 : write_through(disk_, request.offset, storage::Buffers(request.parts));
        case Operation::kDiscard:
        case Operation::kWriteZeroes:
            return each_range(disk_, request, !writes_back());
        case Operation::kFlush:
        case Operation::kIdentify:
            break;
    }
    return disk_.flush();
}

// What ends in one round of the loop is given back together: one interrupt tells of all.
void DiskDevice::ended(std::unique_ptr<Request> request) {
    ended_.push_back(std::move(request));
    if (submitting_ || std::exchange(posted_, true)) return;
    transport().loop().post([this, alive = alive_] {
        if (!*alive) return;
        posted_ = false;
        std::lock_guard guard(lock());
        give_back();
    });
}

void DiskDevice::give_back() {
    if (ended_.empty()) return;
    const bool was_stalled = without_room_ > 0;
    uint32_t queues = 0;
    for (auto& request : std::exchange(ended_, {})) settle(std::move(request), queues);
    for (; queues != 0; queues &= queues - 1) transport().complete(static_cast<unsigned>(std::countr_zero(queues)));
    tell_of_change(was_stalled);
}

void DiskDevice::settle(std::unique_ptr<Request> request, uint32_t& queues) {
    if (request->operation == Operation::kRead) request->chain.mark_written(0, request->room());
    const bool live = !request->chain.stale();
    if (live && !gave_up_ && request->status.no_space()) {
        if (!std::exchange(request->retried, true)) without_room_++;
        waiting_.push_back(std::move(request));
        return;
    }
    under_way_--;
    if (request->retried) without_room_--;
    if (!live) return;
    queues |= uint32_t{1} << request->queue;
    const uint8_t status = status_of(request->status);
    const bool filled = request->operation == Operation::kRead && request->status.ok();
    const uint64_t written = filled ? request->room() : 0;
    answer(*request, status, written);
}

// The length counts bytes from the first one on (2.7.8.2): a status behind bytes that were not written does not count.
void DiskDevice::answer(Request& request, uint8_t status, uint64_t written) {
    const uint64_t room = request.room();
    if (request.chain.write(room, std::span(&status, 1)) && written == room) written++;
    transport().queue(request.queue).push(std::move(request.chain), written);
}

uint64_t DiskDevice::identify(Chain& chain) const {
    std::array<uint8_t, VIRTIO_BLK_ID_BYTES> text{};
    std::copy_n(options_.serial.begin(), std::min(options_.serial.size(), text.size()), text.begin());
    return chain.write(0, text) ? text.size() : 0;
}

bool DiskDevice::stalled() const {
    std::lock_guard guard(lock());
    return without_room_ > 0;
}

bool DiskDevice::idle() const {
    std::lock_guard guard(lock());
    return under_way_ == 0;
}

void DiskDevice::retry() {
    std::lock_guard guard(lock());
    submitting_ = true;
    for (auto& request : std::exchange(waiting_, {})) submit(std::move(request));
    submitting_ = false;
    give_back();
}

void DiskDevice::give_up() {
    std::lock_guard guard(lock());
    gave_up_ = true;
    drop_waiting();
}

void DiskDevice::tell_of_change(bool was_stalled) const {
    if (options_.changed && was_stalled != (without_room_ > 0)) options_.changed();
}

void DiskDevice::drop_waiting() {
    const bool was_stalled = without_room_ > 0;
    under_way_ -= waiting_.size();
    without_room_ -= waiting_.size();
    waiting_.clear();
    tell_of_change(was_stalled);
}

void DiskDevice::reset() {
    drop_waiting();
    state_ = State{};
    features_ = 0;
}

void DiskDevice::save(StateWriter& writer) const {
    State state = state_;
    state.fields(writer);
}

// What was under way comes again, from the restored queues.
Result<> DiskDevice::restore(StateReader& reader) {
    State state;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish("restore virtio-blk"));
    reset();
    state_ = state;
    return {};
}

}  // namespace doppel::device::virtio::block
