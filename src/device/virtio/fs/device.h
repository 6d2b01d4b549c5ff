// The file system device (virtio 1.2, 5.11): requests of the guest's FUSE client, served by fuse::Server.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/virtio/fs/workers.h"
#include "device/virtio/virtio_device.h"
#include "fuse/server.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio::fs {

inline constexpr size_t kMaxTag = 36;  // bytes
inline constexpr unsigned kMaxRequestQueues = 8;

// A queue for urgent requests and one or more for the others. Requests run on `workers` with the guest's memory in
// place; one that waits for a lock occupies none. `memory`, `workers` and the transport's loop outlive the device, and
// the workers are stopped before it goes.
class FsDevice final : public VirtioDevice {
  public:
    struct Parts {
        std::string tag;  // how the guest mounts it, at most kMaxTag bytes
        std::unique_ptr<fuse::Server> server;
        memory::GuestMemory& memory;
        Workers& workers;
        unsigned request_queues = 1;  // at most kMaxRequestQueues
    };
    explicit FsDevice(Parts parts);

    std::string_view name() const override { return "virtio-fs"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    std::span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
    uint32_t config_size() const override { return static_cast<uint32_t>(config_.size()); }
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void notify(unsigned queue) override;
    // Waits for requests that are under way: none of them touches the guest's memory afterwards.
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    class Request;
    struct Finished {
        unsigned queue;
        Chain chain;
        uint64_t written;
    };
    void start(unsigned queue, Chain chain);
    void run(std::unique_ptr<Request> request, uint64_t session);
    void finished(Finished finished);
    void push_finished();  // with the transport's lock
    void push_soon();      // on the loop's thread
    void wait_until_idle() const;

    std::vector<uint16_t> queue_sizes_;
    std::array<uint8_t, kMaxTag + sizeof(uint32_t)> config_{};
    memory::GuestMemory& memory_;
    Workers& workers_;

    mutable std::mutex lock_;  // leaf
    mutable std::condition_variable idle_;
    uint64_t session_ = 0;  // requests of an older one are dropped
    size_t pending_ = 0;    // submitted, and not yet through with the guest's memory
    std::vector<Finished> finished_;
    std::unique_ptr<fuse::Server> server_;  // the first to go: its thread answers requests
};

}  // namespace doppel::device::virtio::fs
