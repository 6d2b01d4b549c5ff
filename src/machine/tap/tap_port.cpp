// Source: Linux, Documentation/networking/tuntap.rst.
#include "machine/tap/tap_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "device/virtio/net/header.h"

namespace doppel::machine {

namespace {

namespace header = device::virtio::net;

constexpr const char* kPurpose = "open the interface";
constexpr int kBatch = 64;  // frames before others have their turn

Error failed(const std::string& name, int error) {
    Error what = Error::system(kPurpose, name, error);
    if (error == EPERM || error == EACCES)
        what.cure = "run as root, or let root make one: ip tuntap add mode tap user NAME";
    return what;
}

ifreq request_of(const std::string& name) {
    ifreq request{};
    std::memcpy(request.ifr_name, name.c_str(), std::min(name.size(), sizeof request.ifr_name - 1));
    return request;
}

Result<Tap> open_one(const std::string& name) {
    UniqueFd file(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!file) return fail(failed("/dev/net/tun", errno));
    ifreq request = request_of(name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int bytes = header::kHeaderBytes, little = 1;
    if (ioctl(file.get(), TUNSETIFF, &request) != 0 || ioctl(file.get(), TUNSETVNETHDRSZ, &bytes) != 0 ||
        ioctl(file.get(), TUNSETVNETLE, &little) != 0)
        return fail(failed(name, errno));
    return Tap{std::move(file), request.ifr_name, 0};
}

Result<> bring_up(const UniqueFd& any, Tap& tap) {
    ifreq request = request_of(tap.name);
    if (ioctl(any.get(), SIOCGIFMTU, &request) != 0) return fail(failed(tap.name, errno));
    constexpr int kLeast = 68;
    tap.mtu = static_cast<uint16_t>(std::clamp<int>(request.ifr_mtu, kLeast, network::kLargeMtu));
    if (ioctl(any.get(), SIOCGIFFLAGS, &request) != 0) return fail(failed(tap.name, errno));
    if ((request.ifr_flags & IFF_UP) != 0) return {};
    request.ifr_flags |= IFF_UP;
    if (ioctl(any.get(), SIOCSIFFLAGS, &request) != 0) return fail(failed(tap.name, errno));
    return {};
}

}  // namespace

Result<Tap> open_tap(const std::string& name) {
    DOPPEL_TRY(Tap tap, open_one(name));
    const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    DOPPEL_CHECK(bring_up(any, tap));
    return tap;
}

Result<Tap> open_tap_at_bridge(const std::string& bridge) {
    const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = request_of(bridge);
    if (ioctl(any.get(), SIOCGIFMTU, &request) != 0) return fail(failed(bridge, errno));
    const int mtu = request.ifr_mtu;
    DOPPEL_TRY(Tap tap, open_one("doppel%d"));
    // As the bridge has it: a bridge takes the least of its ports'.
    request = request_of(tap.name);
    request.ifr_mtu = mtu;
    if (ioctl(any.get(), SIOCSIFMTU, &request) != 0) return fail(failed(tap.name, errno));
    const auto index = static_cast<int>(if_nametoindex(tap.name.c_str()));
    request = request_of(bridge);
    request.ifr_ifindex = index;
    if (ioctl(any.get(), SIOCBRADDIF, &request) != 0) return fail(failed(bridge, errno));
    DOPPEL_CHECK(bring_up(any, tap));
    return tap;
}

Result<std::unique_ptr<TapPort>> TapPort::create(EventLoop& loop, Tap tap) {
    std::unique_ptr<TapPort> port(new TapPort(loop, std::move(tap)));
    port->buffer_.resize(header::kHeaderBytes + network::kMaxFrame);
    DOPPEL_CHECK(loop.watch(port->tap_.file.get(), EPOLLIN, [made = port.get()](uint32_t) { made->ready(); }));
    return port;
}

TapPort::~TapPort() {
    if (up_.load()) loop_.unwatch(tap_.file.get());
}

// What the interface does not take is lost, as on a wire.
size_t TapPort::send(std::span<const network::Frame> frames) {
    for (const network::Frame& frame : frames) {
        auto head = header::header_of(frame.offload, 0);
        const iovec parts[2] = {{head.data(), head.size()},
                                {const_cast<uint8_t*>(frame.bytes.data()), frame.bytes.size()}};
        while (writev(tap_.file.get(), parts, 2) < 0 && errno == EINTR) {
        }
    }
    return frames.size();
}

void TapPort::set_received(const network::Offloads& o) {
    const unsigned long flags = (o.checksum ? TUN_F_CSUM : 0) | (o.checksum && o.tcp4 ? TUN_F_TSO4 : 0) |
                                (o.checksum && o.tcp6 ? TUN_F_TSO6 : 0) |
                                (o.checksum && (o.tcp4 || o.tcp6) && o.ecn ? TUN_F_TSO_ECN : 0);
    if (ioctl(tap_.file.get(), TUNSETOFFLOAD, flags) != 0)
        log_warning("interface {}: what is left to do to frames cannot be chosen: {}", tap_.name, strerror(errno));
}

void TapPort::resume() {
    if (std::exchange(resumed_, true)) return;
    loop_.post([alive = std::weak_ptr(alive_), this] {
        if (alive.expired()) return;
        resumed_ = false;
        if (!std::exchange(stuck_, false) || !up_.load()) return;
        if (auto changed = loop_.change(tap_.file.get(), EPOLLIN); !changed) log_error("{}", changed.error().message());
        ready();
    });
}

void TapPort::ready() {
    for (int i = 0; i < kBatch; i++) {
        if (!deliver()) {
            stuck_ = true;
            if (auto changed = loop_.change(tap_.file.get(), 0); !changed) log_error("{}", changed.error().message());
            return;
        }
        const ssize_t got = read(tap_.file.get(), buffer_.data(), buffer_.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got < 0) {
            up_ = false;
            loop_.unwatch(tap_.file.get());
            log_warning("interface {}: {}; the link is down", tap_.name, strerror(errno));
            if (receiver_ != nullptr) receiver_->link_changed(false);
            return;
        }
        length_ = static_cast<size_t>(got);
    }
}

bool TapPort::deliver() {
    const size_t length = length_;
    if (length < header::kHeaderBytes + network::kMinFrame || receiver_ == nullptr) return length_ = 0, true;
    const std::span<const uint8_t> bytes(&buffer_[header::kHeaderBytes], length - header::kHeaderBytes);
    const auto offload = header::parse(std::span(buffer_).first<header::kHeaderBytes>(), bytes.size(), kAccepted);
    if (!offload) return length_ = 0, true;
    const network::Frame frame{*offload, bytes};
    if (receiver_->receive({&frame, 1}) == 0) return false;
    length_ = 0;
    return true;
}

}  // namespace doppel::machine
