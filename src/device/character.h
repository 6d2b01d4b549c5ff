// How a serial device meets the world outside the machine: a terminal, a file, a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace doppel::device {

// The outside. Both functions are called on a vCPU's thread with the device's lock held: they must neither block nor
// call the device; a backend queues and lets its event loop do the rest.
class CharacterBackend {
  public:
    virtual ~CharacterBackend() = default;
    virtual void write(std::span<const uint8_t> bytes) = 0;  // what the guest sends
    // The device refused input and now takes some again. Told once per refusal.
    virtual void room_again() = 0;
};

// The device's side. Thread-safe; takes the device's lock. Input that it does not take stays with the caller, who
// offers it again after room_again().
class CharacterDevice {
  public:
    virtual ~CharacterDevice() = default;
    virtual bool can_receive() = 0;                              // false counts as a refusal
    virtual size_t receive(std::span<const uint8_t> bytes) = 0;  // how many were taken, from the front
    virtual bool receive_break() = 0;                            // false: no room, a refusal
};

}  // namespace doppel::device
