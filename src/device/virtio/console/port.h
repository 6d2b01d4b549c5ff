// What stands outside the machine behind a port of the console device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace doppel::device::virtio::console {

// All functions are called with the device's lock held, on the I/O thread or a vCPU's: they must neither block nor call
// the device; a backend notes what it was told and lets its event loop do the rest.
class PortBackend {
  public:
    virtual ~PortBackend() = default;
    // What the guest sends: how many bytes were taken, from the front. Fewer than all is a refusal: the device keeps
    // the rest in the guest's buffer, and takes no other buffer, until ConsoleDevice::take_again().
    virtual size_t take(std::span<const uint8_t> bytes) = 0;
    // The device refused a ConsoleDevice::send() and now has room for any. Once per refusal.
    virtual void room_again() = 0;
    // A program in the guest opened the port, or closed it (also: the driver reset the device). Told as open again
    // after a restore. Bytes of an earlier opening may still come after it.
    virtual void guest_opened(bool open) = 0;
};

struct PortSetup {
    unsigned number;             // port 0 is what a driver without F_MULTIPORT sees, as a console
    std::string name;            // how guests find it: /sys/class/virtio-ports/*/name; may be empty
    bool is_console = false;     // hvcN in Linux, with a size
    PortBackend* backend;        // outlives the device's use of it
    bool host_connected = true;  // at first
};

}  // namespace doppel::device::virtio::console
