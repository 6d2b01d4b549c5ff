#include "machine/agent/pipe.h"

#include <algorithm>
#include <utility>

namespace doppel::machine::agent {

size_t PortPipe::take(std::span<const uint8_t> bytes) {
    std::lock_guard guard(lock_);
    const size_t taken = std::min(bytes.size(), kCapacity - bytes_.size());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    refused_ = refused_ || taken < bytes.size();
    post_locked();
    return taken;
}

void PortPipe::room_again() {
    std::lock_guard guard(lock_);
    room_ = true;
    post_locked();
}

void PortPipe::guest_opened(bool open) {
    std::lock_guard guard(lock_);
    bytes_.clear();  // of an earlier opening
    changed_ = true;
    open_ = open;
    post_locked();
}

void PortPipe::post_locked() {
    if (std::exchange(posted_, true)) return;
    loop_.post([this] { deliver(); });
}

void PortPipe::deliver() {
    std::unique_lock guard(lock_);
    posted_ = false;
    std::vector<uint8_t> bytes;
    bytes.swap(bytes_);
    const bool changed = std::exchange(changed_, false), room = std::exchange(room_, false);
    const bool refused = std::exchange(refused_, false), open = open_;
    guard.unlock();
    if (listener_ == nullptr) return;
    if (changed) {
        listener_->pipe_opened(false);
        if (open) listener_->pipe_opened(true);
    }
    if (!bytes.empty()) listener_->pipe_received(bytes);
    if (room) listener_->pipe_has_room();
    if (refused) device_->take_again(port_);
}

}  // namespace doppel::machine::agent
