#include "device/virtio/fs/device.h"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <utility>

#include "base/byte_order.h"

namespace doppel::device::virtio::fs {

namespace {

constexpr uint32_t kClassOtherStorage = 0x018000;
constexpr uint16_t kUrgentQueueSize = 128;
// A request of 1 MiB is some 260 descriptors where the driver does without indirect ones.
constexpr uint16_t kRequestQueueSize = 1024;

}  // namespace

// A chain as the server sees it, in the guest's memory.
class FsDevice::Request final : public fuse::Exchange {
  public:
    Request(FsDevice& device, unsigned queue, Chain chain) : device_(device), queue_(queue), chain_(std::move(chain)) {
        for (const Part& part : chain_.readable()) usable_ = add(part, false) && usable_;
        for (const Part& part : chain_.writable()) usable_ = add(part, true) && usable_;
    }
    bool usable() const { return usable_; }
    std::span<const iovec> request() const override { return request_; }
    std::span<const iovec> reply() const override { return reply_; }
    void answer(uint64_t bytes) override {
        uint64_t left = bytes;
        for (size_t i = 0; i < reply_.size() && left > 0; i++) {
            const Part& part = chain_.writable()[i];
            const uint64_t written = std::min<uint64_t>(left, part.length);
            memory::GuestMemory::mark_dirty(*regions_[i], part.address, written);
            left -= written;
        }
        device_.finished({queue_, std::move(chain_), bytes});
    }

  private:
    bool add(const Part& part, bool writable) {
        memory::GuestMemory& memory = device_.memory_;
        const memory::Region* region =
            writable ? memory.find(part.address, part.length) : memory.find_readable(part.address, part.length);
        if (region == nullptr) return false;
        (writable ? reply_ : request_).push_back({region->host + (part.address - region->base), part.length});
        if (writable) regions_.push_back(region);
        return true;
    }

    FsDevice& device_;
    unsigned queue_;
    Chain chain_;
    std::vector<iovec> request_, reply_;
    std::vector<const memory::Region*> regions_;  // of the writable parts
    bool usable_ = true;
};

FsDevice::FsDevice(Parts parts)
    : queue_sizes_(1 + parts.request_queues, kRequestQueueSize),
      memory_(parts.memory),
      workers_(parts.workers),
      server_(std::move(parts.server)) {
    queue_sizes_[0] = kUrgentQueueSize;
    std::copy_n(parts.tag.begin(), std::min(parts.tag.size(), kMaxTag), config_.begin());
    store_le<uint32_t>(&config_[kMaxTag], parts.request_queues);
}

uint16_t FsDevice::id() const {
    return VIRTIO_ID_FS;
}

uint32_t FsDevice::pci_class() const {
    return kClassOtherStorage;
}

void FsDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::copy_n(config_.begin() + offset, to.size(), to.begin());
}

void FsDevice::notify(unsigned index) {
    Queue& queue = transport().queue(index);
    do {
        queue.suppress_notifications();
        while (std::optional<Chain> chain = queue.pop()) start(index, std::move(*chain));
    } while (queue.resume_notifications());
    push_finished();
    transport().complete(index);  // also tells of a queue that broke
}

void FsDevice::start(unsigned index, Chain chain) {
    auto request = std::make_unique<Request>(*this, index, std::move(chain));
    if (!request->usable()) return transport().queue(index).mark_broken();
    uint64_t session = 0;
    {
        std::lock_guard guard(lock_);
        session = session_;
        pending_++;
    }
    // Every job that is submitted runs.
    workers_.submit([this, owned = request.release(), session] { run(std::unique_ptr<Request>(owned), session); });
}

void FsDevice::run(std::unique_ptr<Request> request, uint64_t session) {
    const bool current = [&] {
        std::lock_guard guard(lock_);
        return session == session_;
    }();
    if (current) {
        server_->serve(std::move(request));
    } else {
        request.reset();
    }
    {
        std::lock_guard guard(lock_);
        pending_--;
    }
    idle_.notify_all();
    if (!Workers::here()) return;
    // Who holds the lock may wait for requests that are behind this one: a worker never waits for it.
    const std::unique_lock guard(transport().device_lock(), std::try_to_lock);
    if (guard) {
        push_finished();
    } else {
        push_soon();
    }
}

void FsDevice::push_soon() {
    transport().loop().post([this] {
        std::lock_guard guard(transport().device_lock());
        push_finished();
    });
}

void FsDevice::finished(Finished finished) {
    {
        std::lock_guard guard(lock_);
        finished_.push_back(std::move(finished));
    }
    if (!Workers::here()) push_soon();  // a worker pushes it when it is through
}

void FsDevice::push_finished() {
    std::vector<Finished> finished;
    {
        std::lock_guard guard(lock_);
        finished.swap(finished_);
    }
    for (Finished& one : finished) {
        transport().queue(one.queue).push(std::move(one.chain), one.written);
        transport().complete(one.queue);
    }
}

void FsDevice::wait_until_idle() const {
    std::unique_lock guard(lock_);
    idle_.wait(guard, [this] { return pending_ == 0; });
}

void FsDevice::reset() {
    {
        std::lock_guard guard(lock_);
        session_++;
    }
    wait_until_idle();
    server_->end_session();
    std::lock_guard guard(lock_);
    finished_.clear();
}

// Requests change files: none may come again after a restore, but those that wait for locks.
void FsDevice::save(StateWriter& writer) const {
    wait_until_idle();
    const_cast<FsDevice*>(this)->push_finished();  // for the queues, which are saved next
    server_->save(writer);
}

Result<> FsDevice::restore(StateReader& reader) {
    return server_->restore(reader);
}

}  // namespace doppel::device::virtio::fs
