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
    for (size_t i = 0; i < choices.size(); i++) {
        if (auto opened = disks->open_one(choices[i], i); !opened) {
            [[maybe_unused]] const auto closed = disks->close();  // the error is why there is no machine
            return fail(std::move(opened).error());
        }
    }
    return disks;
}

Result<> Disks::open_one(const DiskChoice& choice, size_t place) {
    storage::disk::OpenOptions options{.writable = !choice.read_only && !choice.snapshot};
    if (choice.format) options.format = format_of(*choice.format);
    DOPPEL_TRY(auto opened, io_->run(storage::disk::open_disk(*io_, choice.path, options)));
    std::unique_ptr<storage::BlockDevice> disk = std::move(opened.device);
    if (choice.snapshot) {
        DOPPEL_TRY(disk, storage::CopyOnWrite::create(*io_, std::move(disk), folder_for_changes()));
    }
    add(choice, place, std::move(disk));
    return {};
}

void Disks::add(const DiskChoice& choice, size_t place, std::unique_ptr<storage::BlockDevice> disk) {
    One one{.place = place, .choice = choice};
    if (choice.requests.rate != 0 || choice.bytes.rate != 0) {
        const storage::ThrottleLimits limits{limit_of(choice.requests), limit_of(choice.bytes)};
        auto throttle = std::make_unique<storage::Throttle>(*io_, std::move(disk), limits);
        one.throttle = throttle.get();
        disk = std::move(throttle);
    }
    one.disk = std::make_unique<storage::Throttle>(std::move(disk), gate_);
    disks_.push_back(std::move(one));
}

Result<size_t> Disks::attach(const DiskChoice& choice, UniqueFd file) {
    const auto failed = [&](const char* why, const char* cure) {
        return fail(Error{"attach the disk", choice.path, why, cure});
    };
    if (choice.snapshot) return failed("where its changes lie would have to be opened", "start the machine again");
    if (find(choice)) return failed("the machine has it", "");
    size_t place = 0;
    while (std::ranges::any_of(disks_, [&](const One& one) { return one.place == place; })) place++;
    if (place >= kMaxDisks) return failed("the machine has as many disks as it can", "detach one");
    storage::disk::OpenOptions options{.writable = !choice.read_only};
    if (choice.format) options.format = format_of(*choice.format);
    DOPPEL_TRY(auto opened, io_->run(storage::disk::adopt_disk(*io_, std::move(file), choice.path, options)));
    add(choice, place, std::move(opened.device));
    return place;
}

std::optional<size_t> Disks::find(const DiskChoice& choice) const {
    const auto found = std::ranges::find(disks_, choice, &One::choice);
    return found == disks_.end() ? std::nullopt : std::optional(found->place);
}

void Disks::detach(size_t place) {
    const auto found = std::ranges::find(disks_, place, &One::place);
    if (found == disks_.end()) return;
    auto closing = std::make_shared<Closing>();
    closing->disk = std::move(*found);
    closing->disk.device = nullptr;
    disks_.erase(found);
    closing_.push_back(closing);
    look();  // it may be the one that the guest waits for
    auto closed = [this, closing](storage::Status status) {
        if (const auto result = status.result("close disk", closing->disk.choice.path); !result)
            log_error("{}", result.error().message());
        closing->done = true;
        // Later: what calls this is a task of the disk.
        loop_.post([this, alive = alive_] {
            if (*alive) std::erase_if(closing_, [](const auto& one) { return one->done; });
        });
    };
    storage::start(closing->disk.disk->close(), std::move(closed));
}

Disks::~Disks() {
    *alive_ = false;
}

std::unique_ptr<device::virtio::block::DiskDevice> Disks::make_device(size_t place, unsigned queues) {
    One& one = *std::ranges::find(disks_, place, &One::place);
    // Told under the device's lock, perhaps by a hart: what is to be done for it is done on the loop.
    auto changed = [this, alive = alive_] {
        loop_.post([this, alive] {
            if (*alive) look();
        });
    };
    auto device = std::make_unique<device::virtio::block::DiskDevice>(
        *one.disk, device::virtio::block::DiskOptions{one.choice.serial, queues, std::move(changed)});
    one.device = device.get();
    return device;
}

bool Disks::idle() const {
    return std::ranges::all_of(disks_, [](const One& one) { return one.device == nullptr || one.device->idle(); }) &&
           std::ranges::all_of(closing_, [](const auto& one) { return one->done; });
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
                        printable(stalled->choice.path)));
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
        const auto closed = io_->run(one.disk->close()).result("close disk", one.choice.path);
        if (!closed && result) result = closed;
    }
    disks_.clear();
    closing_.clear();
    return result;
}

void Disks::forget_devices() {
    for (One& one : disks_) one.device = nullptr;
}

}  // namespace doppel::machine
