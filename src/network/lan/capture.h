// Somebody who looks at a network's frames: pcapng blocks over a socket. What they take too slowly is lost and counted.
#pragma once

#include <map>
#include <string>

#include "base/unique_fd.h"
#include "network/lan/switch.h"

namespace doppel::network::lan {

class Capture {
  public:
    // Of one port, both ways, or with 0 of all, each frame once, where it comes from.
    Capture(int socket, PortId port) : socket_(socket), port_(port) {}

    // The beginning of the file.
    void begin();
    void frame(PortId port, const std::string& name, bool out, const Frame& frame, uint64_t time);
    uint64_t lost() const { return lost_; }

  private:
    bool send(std::span<const uint8_t> block);

    int socket_;
    PortId port_;
    std::map<PortId, uint32_t> interfaces_;
    uint64_t lost_ = 0;
};

}  // namespace doppel::network::lan
