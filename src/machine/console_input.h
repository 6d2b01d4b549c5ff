// Where console input goes: to the serial port, or to the firmware's console for a guest that reads that one.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>

#include "device/character.h"

namespace doppel::machine {

// Until the guest first reads the firmware's console after a reset, the serial port gets all input. Thread-safe.
class ConsoleInput final : public device::CharacterDevice {
  public:
    // Both outlive this.
    ConsoleInput(device::CharacterDevice& serial, device::CharacterBackend& backend)
        : serial_(serial), backend_(backend) {}

    bool can_receive() override;
    size_t receive(std::span<const uint8_t> bytes) override;
    bool receive_break() override;

    // The firmware's side: what there is, at most bytes.size(), without waiting.
    size_t read_firmware_console(std::span<uint8_t> bytes);
    void reset();

  private:
    static constexpr size_t kCapacity = 4096;

    device::CharacterDevice& serial_;
    device::CharacterBackend& backend_;
    std::atomic<bool> firmware_reads_{false};
    std::mutex lock_;  // leaf
    std::deque<uint8_t> queue_;
    bool refused_ = false;
};

}  // namespace doppel::machine
