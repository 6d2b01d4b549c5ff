#include "machine/console_input.h"

#include <algorithm>

namespace doppel::machine {

bool ConsoleInput::can_receive() {
    if (!firmware_reads_.load()) return serial_.can_receive();
    std::lock_guard guard(lock_);
    refused_ = queue_.size() == kCapacity;
    return !refused_;
}

size_t ConsoleInput::receive(std::span<const uint8_t> bytes) {
    if (!firmware_reads_.load()) return serial_.receive(bytes);
    std::lock_guard guard(lock_);
    size_t taken = std::min(bytes.size(), kCapacity - queue_.size());
    queue_.insert(queue_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
    refused_ = taken < bytes.size();
    return taken;
}

bool ConsoleInput::receive_break() {
    return firmware_reads_.load() || serial_.receive_break();
}

size_t ConsoleInput::read_firmware_console(std::span<uint8_t> bytes) {
    // What the serial port refused before the first read waits for a word that it would never give.
    bool room = !firmware_reads_.exchange(true);
    size_t taken = 0;
    {
        std::lock_guard guard(lock_);
        taken = std::min(bytes.size(), queue_.size());
        std::copy_n(queue_.begin(), taken, bytes.begin());
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(taken));
        if (refused_ && queue_.size() < kCapacity) {
            refused_ = false;
            room = true;
        }
    }
    if (room) backend_.room_again();
    return taken;
}

void ConsoleInput::reset() {
    std::lock_guard guard(lock_);
    firmware_reads_.store(false);
    queue_.clear();
    refused_ = false;
}

}  // namespace doppel::machine
