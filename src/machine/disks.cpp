#include "machine/disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "base/progress.h"
#include "storage/copy_on_write.h"
#include "storage/disk/open_disk.h"

namespace doppel::machine {

namespace {

constexpr uint64_t kRetryPause = 1'000'000'000;  // nanoseconds

storage::disk::Format format_of(DiskFormat format) {
    return format == DiskFormat::kRaw ? storage::disk::Format::kRaw : storage::disk::Format::kQcow2;
}

// For what a snapshot's guest writes: /var/tmp is on a disk where /tmp may be memory.
std::filesystem::path folder_for_changes() {
    const char* named = std::getenv("TMPDIR");
    return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

storage::Limit limit_of(const DiskLimit& limit) {
    return {limit.rate, limit.burst};
}

}  // namespace

Result<std::unique_ptr<Disks>> Disks::open(const std::vector<DiskChoice>& choices, EventLoop& loop) {
    std::unique_ptr<Disks> disks(new Disks(loop));
    DOPPEL_TRY(disks->io_, storage::IoContext::create(&loop));
    disks->gate_ = std::make_shared<storage::ThrottleGate>(*disks->io_, storage::ThrottleLimits{});
    for (const DiskChoice& choice : choices) {
        if (auto opened = disks->open_one(choice); !opened) {
            [[maybe_unused]] const auto closed = disks->close();  // the error is why there is no machine
            return fail(std::move(opened).error());
        }
    }
    return disks;
}

Result<> Disks::open_one(const DiskChoice& choice) {
    storage::disk::OpenOptions options{.writable = !choice.read_only && !choice.snapshot};
    if (choice.format) options.format = format_of(*choice.format);
    DOPPEL_TRY(auto opened, io_->run(storage::disk::open_disk(*io_, choice.path, options)));
    std::unique_ptr<storage::BlockDevice> disk = std::move(opened.device);
    if (choice.snapshot) {
        DOPPEL_TRY(disk, storage::CopyOnWrite::create(*io_, std::move(disk), folder_for_changes()));
    }
    One one{.path = choice.path, .serial = choice.serial};
    if (choice.requests.rate != 0 || choice.bytes.rate != 0) {
        const storage::ThrottleLimits limits{limit_of(choice.requests), limit_of(choice.bytes)};
        auto throttle = std::make_unique<storage::Throttle>(*io_, std::move(disk), limits);
        one.throttle = throttle.get();
        disk = std::move(throttle);
    }
    one.disk = std::make_unique<storage::Throttle>(std::move(disk), gate_);
    disks_.push_back(std::move(one));
    return {};
}

Disks::~Disks() {
    *alive_ = false;
}

std::unique_ptr<device::virtio::block::DiskDevice> Disks::make_device(size_t index, unsigned queues) {
    One& one = disks_[index];
    // Told under the device's lock, perhaps by a hart: what is to be done for it is done on the loop.
    auto changed = [this, alive = alive_] {
        loop_.post([this, alive] {
            if (*alive) look();
        });
    };
    auto device = std::make_unique<device::virtio::block::DiskDevice>(
        *one.disk, device::virtio::block::DiskOptions{one.serial, queues, std::move(changed)});
    one.device = device.get();
    return device;
}

bool Disks::idle() const {
    return std::ranges::all_of(disks_, [](const One& one) { return one.device == nullptr || one.device->idle(); });
}

const Disks::One* Disks::first_stalled() const {
    const auto found =
        std::ranges::find_if(disks_, [](const One& one) { return one.device != nullptr && one.device->stalled(); });
    return found == disks_.end() ? nullptr : &*found;
}

void Disks::look() {
    const One* stalled = first_stalled();
    if (standing_still_ == (stalled != nullptr)) return;
    standing_still_ = stalled != nullptr;
    if (stalled != nullptr) {
        write_past_progress(
            fmt::format("doppel: the guest is paused: {}: its file system is full; make room, and it goes on\n",
                        printable(stalled->path)));
        retry_.arm(loop_.clock().monotonic() + kRetryPause);
        if (standstill_.begin) standstill_.begin();
    } else {
        write_past_progress("doppel: the guest goes on\n");
        if (standstill_.end) standstill_.end();
    }
}

void Disks::retry() {
    if (!standing_still_) return;
    for (const One& one : disks_) {
        if (one.device != nullptr) one.device->retry();
    }
    retry_.arm(loop_.clock().monotonic() + kRetryPause);
}

void Disks::limit(const DiskLimit& requests, const DiskLimit& bytes) {
    gate_->set_limits({limit_of(requests), limit_of(bytes)});
}

void Disks::set_limited(bool limited) {
    gate_->set_limited(limited);
    for (const One& one : disks_) {
        if (one.throttle != nullptr) one.throttle->set_limited(limited);
    }
}

void Disks::drain() {
    set_limited(false);
    while (!idle()) {
        io_->step(true);
        loop_.run_ready();  // where devices take notice of what has ended
    }
    set_limited(true);
}

Result<> Disks::close() {
    for (const One& one : disks_) {
        if (one.device != nullptr) one.device->give_up();
    }
    drain();
    set_limited(false);
    Result<> result;
    for (One& one : disks_) {
        const auto closed = io_->run(one.disk->close()).result("close disk", one.path);
        if (!closed && result) result = closed;
    }
    disks_.clear();
    return result;
}

void Disks::forget_devices() {
    for (One& one : disks_) one.device = nullptr;
}

}  // namespace doppel::machine
