#include "network/user/nat.h"

#include <arpa/inet.h>
#include <libslirp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "network/checksum.h"
#include "network/link/message.h"
#include "network/link/process.h"

namespace doppel::network::user {

namespace {

constexpr uint8_t kGateway = 2, kNameServer = 3, kGuest = 15;  // in the subnet
constexpr uint8_t kPrefix6Bits = 64;
constexpr size_t kQueueLimit = 8 << 20;  // bytes for the guest; sockets wait while there are more
constexpr int kBatch = 64;               // frames of the guest before sockets have their turn
constexpr uint64_t kMillisecond = 1'000'000;

in_addr ipv4(const char* text) {
    in_addr address{};
    inet_pton(AF_INET, text, &address);
    return address;
}

in6_addr ipv6(const std::string& text) {
    in6_addr address{};
    inet_pton(AF_INET6, text.c_str(), &address);
    return address;
}

class Nat {
  public:
    Nat(const NatOptions& options, UniqueFd link, UniqueFd control)
        : subnet_(options.subnet), link_(std::move(link)), control_(std::move(control)), buffer_(link::kMaxMessage) {
        SlirpConfig config{};
        config.version = 4;
        config.restricted = options.restricted ? 1 : 0;
        config.in_enabled = true;
        config.vnetwork = in_subnet(0);
        config.vnetmask = ipv4("255.255.255.0");
        config.vhost = in_subnet(kGateway);
        config.vdhcp_start = in_subnet(kGuest);
        config.vnameserver = in_subnet(kNameServer);
        config.in6_enabled = true;
        config.vprefix_addr6 = ipv6(options.prefix6);
        config.vprefix_len = kPrefix6Bits;
        config.vhost6 = ipv6(options.prefix6 + "2");
        config.vnameserver6 = ipv6(options.prefix6 + "3");
        config.vhostname = "doppel";
        config.if_mtu = kLargeMtu;
        config.if_mru = kLargeMtu;
        slirp_.reset(slirp_new(&config, &callbacks(), this));
    }

    Result<> add(const Forward& forward) { return add(forward, in_subnet(kGuest)); }

    bool made() const { return slirp_ != nullptr; }
    void run() {
        while (round()) {
        }
    }

  private:
    struct Timer {
        SlirpTimerId id;
        void* opaque;
        std::optional<uint64_t> due;  // milliseconds
    };
    struct CleanUp {
        void operator()(Slirp* slirp) const { slirp_cleanup(slirp); }
    };

    struct HostAddress {
        sockaddr_storage address{};
        socklen_t length = 0;
        const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
    };
    static HostAddress host_address(const Forward& forward) {
        HostAddress host;
        if (forward.address.find(':') != std::string::npos) {
            auto& address = reinterpret_cast<sockaddr_in6&>(host.address);
            address = {
                .sin6_family = AF_INET6, .sin6_port = htons(forward.host_port), .sin6_addr = ipv6(forward.address)};
            host.length = sizeof address;
        } else {
            auto& address = reinterpret_cast<sockaddr_in&>(host.address);
            address.sin_family = AF_INET;
            address.sin_port = htons(forward.host_port);
            address.sin_addr = forward.address.empty() ? in_addr{INADDR_ANY} : ipv4(forward.address.c_str());
            host.length = sizeof address;
        }
        return host;
    }
    Result<> add(const Forward& forward, in_addr to) {
        const HostAddress host = host_address(forward);
        sockaddr_in guest{};
        guest.sin_family = AF_INET;
        guest.sin_port = htons(forward.guest_port);
        guest.sin_addr = to;
        errno = 0;
        if (slirp_add_hostxfwd(slirp_.get(), host.get(), host.length, reinterpret_cast<const sockaddr*>(&guest),
                               sizeof guest, forward.udp ? SLIRP_HOSTFWD_UDP : 0) == 0) {
            return {};
        }
        Error error = Error::system("publish a port", text_of(forward), errno != 0 ? errno : EADDRNOTAVAIL);
        error.cure = "choose another port of the host";
        return fail(std::move(error));
    }
    in_addr in_subnet(uint8_t number) const {
        return {htonl(uint32_t{subnet_[0]} << 24 | uint32_t{subnet_[1]} << 16 | uint32_t{subnet_[2]} << 8 | number)};
    }

    // One request; without another end there are no more.
    void take_request() {
        std::array<char, 256> text{};
        const ssize_t got = recv(control_.get(), text.data(), text.size() - 1, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got <= 0) return control_.reset();
        const auto done = carry_out({text.data(), static_cast<size_t>(got)});
        if (done) {
            link::tell_ready(control_.get());
        } else {
            link::tell_failed(control_.get(), done.error());
        }
    }
    Result<> carry_out(std::string_view request) {
        const std::string_view words = request.substr(1);
        const size_t space = words.find(' ');
        const auto forward = forward_from(words.substr(0, space));
        in_addr to{};
        if (request[0] == '-' && forward && space == words.npos) {
            const HostAddress host = host_address(*forward);
            slirp_remove_hostxfwd(slirp_.get(), host.get(), host.length, forward->udp ? SLIRP_HOSTFWD_UDP : 0);
            return {};
        }
        if (request[0] == '+' && forward && space != words.npos &&
            inet_pton(AF_INET, std::string(words.substr(space + 1)).c_str(), &to) == 1)
            return add(*forward, to);
        return fail(Error{"publish a port", std::string(request), "the request is none", ""});
    }

    static Nat& self(void* opaque) { return *static_cast<Nat*>(opaque); }
    static const SlirpCb& callbacks() {
        static const SlirpCb made = [] {
            SlirpCb table{};
            table.send_packet = [](const void* bytes, size_t length, void* opaque) -> ssize_t {
                self(opaque).send({static_cast<const uint8_t*>(bytes), length});
                return static_cast<ssize_t>(length);
            };
            table.guest_error = [](const char*, void*) {};  // a guest's errors are its own
            table.clock_get_ns = [](void*) { return static_cast<int64_t>(host_clock().monotonic()); };
            table.timer_new_opaque = [](SlirpTimerId id, void* timer_opaque, void* opaque) -> void* {
                auto& timers = self(opaque).timers_;
                timers.push_back(std::make_unique<Timer>(Timer{id, timer_opaque, std::nullopt}));
                return timers.back().get();
            };
            table.timer_free = [](void* timer, void* opaque) {
                std::erase_if(self(opaque).timers_, [timer](const auto& one) { return one.get() == timer; });
            };
            table.timer_mod = [](void* timer, int64_t due, void*) {
                static_cast<Timer*>(timer)->due = static_cast<uint64_t>(due);
            };
            table.register_poll_fd = [](int, void*) {};
            table.unregister_poll_fd = [](int, void*) {};
            table.notify = [](void*) {};
            return table;
        }();
        return made;
    }
    static short poll_events(int wanted) {
        return static_cast<short>(((wanted & SLIRP_POLL_IN) != 0 ? POLLIN : 0) |
                                  ((wanted & SLIRP_POLL_OUT) != 0 ? POLLOUT : 0) |
                                  ((wanted & SLIRP_POLL_PRI) != 0 ? POLLPRI : 0));
    }
    static int slirp_events(short seen) {
        return ((seen & POLLIN) != 0 ? SLIRP_POLL_IN : 0) | ((seen & POLLOUT) != 0 ? SLIRP_POLL_OUT : 0) |
               ((seen & POLLPRI) != 0 ? SLIRP_POLL_PRI : 0) | ((seen & POLLERR) != 0 ? SLIRP_POLL_ERR : 0) |
               ((seen & POLLHUP) != 0 ? SLIRP_POLL_HUP : 0);
    }

    // False: the other end is gone.
    bool round() {
        fds_.assign(1, {link_.get(), static_cast<short>(POLLIN | (queue_.empty() ? 0 : POLLOUT)), 0});
        if (control_) fds_.push_back({control_.get(), POLLIN, 0});
        const size_t control = fds_.size() - 1;  // its place, if there is one
        uint32_t timeout = std::numeric_limits<uint32_t>::max();
        const bool serves = queued_ < kQueueLimit;
        if (serves) {
            slirp_pollfds_fill(
                slirp_.get(), &timeout,
                [](int fd, int events, void* opaque) {
                    auto& fds = self(opaque).fds_;
                    fds.push_back({fd, poll_events(events), 0});
                    return static_cast<int>(fds.size() - 1);
                },
                this);
        }
        const int ready = poll(fds_.data(), fds_.size(), patience(timeout));
        if (ready < 0 && errno != EINTR) return false;
        if (ready > 0 && (fds_[0].revents & POLLOUT) != 0) drain();
        const bool alive = ready <= 0 || (fds_[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0 || take_frames();
        if (serves && alive) {
            slirp_pollfds_poll(
                slirp_.get(), ready < 0,
                [](int index, void* opaque) {
                    return slirp_events(self(opaque).fds_[static_cast<size_t>(index)].revents);
                },
                this);
        }
        run_timers();
        // Last: it may change what slirp waits for.
        if (control_ && ready > 0 && (fds_[control].revents & (POLLIN | POLLHUP | POLLERR)) != 0) take_request();
        return alive;
    }

    int patience(uint32_t timeout) const {
        uint64_t wait = timeout;
        const uint64_t now = host_clock().monotonic() / kMillisecond;
        for (const auto& timer : timers_) {
            if (timer->due) wait = std::min(wait, *timer->due > now ? *timer->due - now : 0);
        }
        return wait >= std::numeric_limits<int>::max() ? -1 : static_cast<int>(wait);
    }

    void run_timers() {
        const uint64_t now = host_clock().monotonic() / kMillisecond;
        for (size_t i = 0; i < timers_.size(); i++) {
            Timer& timer = *timers_[i];
            if (!timer.due || *timer.due > now) continue;
            timer.due.reset();
            slirp_handle_timer(slirp_.get(), timer.id, timer.opaque);
        }
    }

    bool take_frames() {
        for (int i = 0; i < kBatch; i++) {
            const ssize_t got = recv(link_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) return true;
            if (got <= 0) return false;
            const auto frame = link::frame_of({buffer_.data(), static_cast<size_t>(got)});
            if (!frame) continue;
            const std::span<uint8_t> bytes(&buffer_[link::kHeaderBytes], frame->bytes.size());
            const Offload& offload = frame->offload;
            if (offload.needs_checksum) complete_checksum(bytes, offload.checksum_start, offload.checksum_offset);
            slirp_input(slirp_.get(), bytes.data(), static_cast<int>(bytes.size()));
        }
        return true;
    }

    // ---- To the guest

    void send(std::span<const uint8_t> frame) {
        if (frame.size() < kMinFrame || frame.size() > kMaxFrame) return;
        const link::Header header = link::header_of({.checksum_right = true});
        std::vector<uint8_t> message(header.begin(), header.end());
        message.insert(message.end(), frame.begin(), frame.end());
        queued_ += message.size();
        queue_.push_back(std::move(message));
        if (queue_.size() == 1) drain();
    }
    void drain() {
        while (!queue_.empty()) {
            const auto& message = queue_.front();
            const ssize_t put = ::send(link_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0 && (errno == EAGAIN || errno == ENOBUFS)) return;
            queued_ -= message.size();  // one that cannot be sent is lost, as on a wire
            queue_.pop_front();
        }
    }

    const std::array<uint8_t, 3> subnet_;
    UniqueFd link_, control_;
    std::vector<uint8_t> buffer_;
    std::deque<std::vector<uint8_t>> queue_;
    size_t queued_ = 0;  // bytes in it
    std::vector<pollfd> fds_;
    std::vector<std::unique_ptr<Timer>> timers_;
    std::unique_ptr<Slirp, CleanUp> slirp_;  // the first to go: it frees its timers
};

}  // namespace

Result<> run_nat(const NatOptions& options, UniqueFd link, const std::function<void()>& ready, UniqueFd control) {
    Nat nat(options, std::move(link), std::move(control));
    if (!nat.made()) return fail(Error{"start the network", "libslirp", "it refuses", ""});
    for (const Forward& forward : options.forwards) DOPPEL_CHECK(nat.add(forward));
    ready();
    nat.run();
    return {};
}

}  // namespace doppel::network::user
