// The block device (virtio 1.2, 5.2) over a disk of storage.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/virtio/block/request.h"
#include "device/virtio/virtio_device.h"
#include "storage/block_device.h"

namespace doppel::device::virtio::block {

struct DiskOptions {
    std::string serial;   // what the guest is told of, at most kMaxSerial bytes
    unsigned queues = 1;  // 1 .. kMaxQueues
    // Told under the device's lock, on any thread, when `stalled` has changed.
    std::function<void()> changed;
};

// Requests go to the disk as they come, straight from and to guest memory, and end in any order. Those that the host
// has no room for are kept until `retry`; every other failure is the guest's.
//
// The loop's thread owns the disk, which outlives the device. Who destroys one that is not idle lets the requests under
// way end first, or never run again, while guest memory is there.
class DiskDevice final : public VirtioDevice {
  public:
    static constexpr unsigned kMaxQueues = 8;
    static constexpr uint16_t kQueueSize = 256;
    static constexpr size_t kMaxSerial = 20;

    DiskDevice(storage::BlockDevice& disk, DiskOptions options);
    ~DiskDevice() override;

    // The loop's thread, without the device's lock.
    bool stalled() const;  // requests wait for room, or are tried again
    bool idle() const;     // no request is under way
    void retry();          // those that wait
    // Those that wait fail, as all that find no room from now on: nobody waits for it any more.
    void give_up();

    std::string_view name() const override { return "virtio-blk"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    uint64_t features() const override;
    std::span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void write_config(uint32_t offset, std::span<const uint8_t> from) override;
    void activate(uint64_t features) override { features_ = features; }
    void notify(unsigned queue) override;
    void reset() override;
    bool resetting() const override { return under_way_ > 0; }

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    struct State {
        bool writeback = true;  // the configuration's field: writes end before they are durable
        template <class V>
        void fields(V& v) {
            v.field(1, writeback);
        }
    };
    std::mutex& lock() const { return const_cast<DiskDevice*>(this)->transport().device_lock(); }
    bool writes_back() const;
    void take(unsigned queue, Chain chain);
    void submit(std::unique_ptr<Request> request);
    storage::Task<storage::Status> carry_out(Request& request);
    void ended(std::unique_ptr<Request> request);
    // Under the device's lock.
    void give_back();
    void settle(std::unique_ptr<Request> request, uint32_t& queues);
    void answer(Request& request, uint8_t status, uint64_t written);
    void drop_waiting();
    void tell_of_change(bool was_stalled) const;
    uint64_t identify(Chain& chain) const;

    storage::BlockDevice& disk_;
    const DiskOptions options_;
    const DiskShape shape_;
    const std::vector<uint16_t> queue_sizes_;
    // Guarded by the device's lock.
    State state_;
    uint64_t features_ = 0;    // negotiated
    size_t under_way_ = 0;     // taken and not given back, those that wait included
    size_t without_room_ = 0;  // of them, those that wait and those that are tried again
    std::vector<std::unique_ptr<Request>> waiting_;
    bool gave_up_ = false;
    // The loop's thread's.
    std::vector<std::unique_ptr<Request>> ended_;
    bool submitting_ = false;  // the caller gives back what ends meanwhile
    bool posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // requests may outlive the device
};

}  // namespace doppel::device::virtio::block
