// The disks of a machine: opened before the process is confined, kept over guest reboots, closed when the machine ends.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "device/virtio/block/device.h"
#include "machine/spec/disk_choice.h"
#include "storage/block_device.h"
#include "storage/io_context.h"
#include "storage/throttle.h"

namespace doppel::machine {

// What happens to the guest while the host has no room for what it writes.
struct Standstill {
    std::function<void()> begin, end;  // called on the loop's thread, alternating
};

// Belongs to the loop's thread. Outlives its devices.
class Disks {
  public:
    // All of them, locked, or an error that names one. Threads are started.
    static Result<std::unique_ptr<Disks>> open(const std::vector<DiskChoice>& choices, EventLoop& loop);

    // What all of them may do together in a second, from now on; a rate of 0 is no limit.
    void limit(const DiskLimit& requests, const DiskLimit& bytes);
    ~Disks();

    size_t count() const { return disks_.size(); }
    // One more, of a file that is open and locked, at the first place that is free, which is the result; while the
    // machine is there.
    Result<size_t> attach(const DiskChoice& choice, UniqueFd file);
    // The place of the disk that was chosen so.
    std::optional<size_t> find(const DiskChoice& choice) const;
    // Its device has gone; it is made durable and closed as time goes by.
    void detach(size_t place);
    // What the guest sees of the disk at a place, of those from 0 on; once each.
    std::unique_ptr<device::virtio::block::DiskDevice> make_device(size_t place, unsigned queues);
    void set_standstill(Standstill standstill) { standstill_ = std::move(standstill); }
    // When the calling thread is confined: those that serve the disks are to be so, too.
    Result<> restart_threads() { return io_->restart_threads(); }

    // Until no request is under way; limits do not count meanwhile. The loop does not run, and no hart.
    void drain();
    // Makes everything durable; nothing waits for room any more. The first error, and the disks are closed all the
    // same. The loop does not run, and no hart; the devices are there, but are not used again.
    Result<> close();
    // The devices have gone.
    void forget_devices();

  private:
    struct One {
        size_t place;
        DiskChoice choice;
        std::unique_ptr<storage::BlockDevice> disk;
        storage::Throttle* throttle = nullptr;  // of its own, if it has one
        device::virtio::block::DiskDevice* device = nullptr;
    };
    explicit Disks(EventLoop& loop) : loop_(loop), retry_(loop, [this] { retry(); }) {}
    Result<> open_one(const DiskChoice& choice, size_t place);
    void add(const DiskChoice& choice, size_t place, std::unique_ptr<storage::BlockDevice> disk);
    bool idle() const;
    const One* first_stalled() const;
    void set_limited(bool limited);
    void look();
    void retry();

    EventLoop& loop_;
    std::unique_ptr<storage::IoContext> io_;       // outlives the disks
    std::shared_ptr<storage::ThrottleGate> gate_;  // of all disks
    std::vector<One> disks_;
    struct Closing {
        One disk;
        bool done = false;
    };
    std::vector<std::shared_ptr<Closing>> closing_;
    Standstill standstill_;
    bool standing_still_ = false;
    EventLoop::Timer retry_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // messages may outlive the disks
};

}  // namespace doppel::machine
