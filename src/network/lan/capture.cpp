#include "network/lan/capture.h"

#include <sys/socket.h>

#include "network/lan/pcapng.h"

namespace doppel::network::lan {

bool Capture::send(std::span<const uint8_t> block) {
    iovec part{const_cast<uint8_t*>(block.data()), block.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

void Capture::begin() {
    (void)!send(pcapng::section_header());
}

void Capture::frame(PortId port, const std::string& name, bool out, const Frame& frame, uint64_t time) {
    if (port_ != 0 ? port != port_ : out) return;
    auto found = interfaces_.find(port);
    if (found == interfaces_.end()) {
        if (!send(pcapng::interface_description(name))) {
            lost_++;
            return;
        }
        found = interfaces_.emplace(port, static_cast<uint32_t>(interfaces_.size())).first;
    }
    if (!send(pcapng::enhanced_packet(found->second, time, out, frame.bytes))) lost_++;
}

}  // namespace doppel::network::lan
