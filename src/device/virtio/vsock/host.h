// What the vsock device needs of the host.
#pragma once

#include <cstdint>
#include <functional>

#include "base/unique_fd.h"

namespace doppel::device::virtio::vsock {

// Belongs to the I/O thread. Sockets are streams, non-blocking.
class Host {
  public:
    virtual ~Host() = default;

    // Connects to what stands for the host's `port`. `connected` is called later, on the I/O thread, with the socket,
    // or without one when nobody is there. Called with the device's lock held.
    virtual void connect(uint32_t port, std::function<void(UniqueFd)> connected) = 0;

    // From now on `client` is called on the I/O thread with each client that comes, and no lock held.
    virtual void listen(std::function<void(UniqueFd)> client) = 0;
};

}  // namespace doppel::device::virtio::vsock
