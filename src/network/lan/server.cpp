#include "network/lan/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/unix_socket.h"
#include "network/lan/folder.h"
#include "network/lan/member_port.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kMaxGuests = 32;
constexpr int kCaptureBytes = 4 << 20;  // of blocks on their way

}  // namespace

// The way out is a port like others, whose other side is not a ring.
struct Server::Uplink final : Outlet, Receiver {
    Uplink(Server& server, UplinkParts given) : host(server), parts(std::move(given)) {}

    bool put(const Frame& frame) override { return parts.port->send({&frame, 1}) == 1; }
    Offloads takes() const override { return parts.port->accepts(); }

    size_t receive(std::span<const Frame> frames) override {
        for (const Frame& frame : frames) host.lan_.input(id, frame);
        host.settle();
        return frames.size();
    }
    void sendable() override {}
    void link_changed(bool) override { log_warning("network {}: its way out is gone", host.options_.name); }

    Server& host;
    UplinkParts parts;
    PortId id = 0;
};

Server::Server(EventLoop& loop, const NetworkOptions& options, int folder)
    : loop_(loop),
      options_(options),
      folder_(folder),
      lan_(loop.clock()),
      services_(loop, lan_, options),
      idle_(loop, [this] { end_if_idle(); }) {}

Server::~Server() {
    leave();
    for (Guest& guest : guests_) loop_.unwatch(guest.socket.get());
    if (listener_) loop_.unwatch(listener_.get());
}

Result<std::unique_ptr<Server>> Server::open(EventLoop& loop, const NetworkOptions& options, int folder) {
    std::unique_ptr<Server> server(new Server(loop, options, folder));
    const auto path = std::filesystem::path("/proc/self/fd") / std::to_string(folder) / (options.name + kSocketEnding);
    DOPPEL_TRY(server->listener_, listen_on_unix_socket(path, "serve the network", SOCK_SEQPACKET));
    DOPPEL_CHECK(loop.watch(server->listener_.get(), EPOLLIN, [made = server.get()](uint32_t) { made->accept_all(); }));
    if (options.services) server->lan_.set_service(&server->services_);
    server->watch_idle();
    return server;
}

Result<> Server::add_uplink(UplinkParts parts) {
    PortOptions options;
    options.name = parts.name;
    uplink_ = std::make_unique<Uplink>(*this, std::move(parts));
    DOPPEL_TRY(uplink_->id, lan_.add(options, {}, *uplink_));
    services_.set_uplink(uplink_->id);
    uplink_->parts.port->attach(uplink_.get());
    uplink_->parts.port->set_received(MemberPort::kAccepted);
    return {};
}

void Server::run() {
    loop_.run();
    leave();
}

void Server::leave() {
    if (!listener_ || std::exchange(gone_, true)) return;
    for (const char* ending : {kSocketEnding, kLogEnding}) unlinkat(folder_, (options_.name + ending).c_str(), 0);
}

// ---- Those who come

void Server::accept_all() {
    while (true) {
        UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return;
        }
        if (guests_.size() >= kMaxGuests) continue;
        const int number = socket.get();
        guests_.push_back({std::move(socket), nullptr});
        const auto guest = std::prev(guests_.end());
        if (!loop_.watch(number, EPOLLIN, [this, guest](uint32_t) { hear(guest); })) guests_.erase(guest);
        watch_idle();
    }
}

void Server::drop(std::list<Guest>::iterator guest) {
    const bool captured = guest->capture != nullptr;
    loop_.unwatch(guest->socket.get());
    guests_.erase(guest);
    if (captured) set_mirror();
    watch_idle();
}

void Server::hear(std::list<Guest>::iterator guest) {
    const auto message = receive_message(guest->socket.get(), kMaxRequest);
    if (!message) {
        if (errno != EAGAIN) drop(guest);
        return;
    }
    if (message->json.is_object() && guest->capture == nullptr) return answer(guest, message->json);
    drop(guest);
}

void Server::answer(std::list<Guest>::iterator guest, const Json& request) {
    const auto what = request.value("do", Json());
    if (what == "join") {
        loop_.unwatch(guest->socket.get());
        if (const auto joined = join(*guest, request); !joined) {
            const int socket = guest->socket.get();
            if (socket >= 0) send_message(socket, to_json(joined.error()));
        }
        guests_.erase(guest);
        return watch_idle();
    }
    if (what == "capture") return start_capture(*guest, request);
    if (what == "show") {
        send_message(guest->socket.get(), show());
    } else if (what == "stop") {
        // Nobody finds the socket any more when the answer is there.
        leave();
        send_message(guest->socket.get(), Json::object());
        loop_.stop();
    } else {
        send_message(guest->socket.get(), to_json(Error{"ask the switch", "", "it does not know the request",
                                                        "install doppel whole: its executables belong together"}));
    }
}

Result<> Server::join(Guest& guest, const Json& request) {
    DOPPEL_TRY(JoinRequest wanted, join_from(request));
    // The socket stays the guest's until all is well: it gets the error.
    UniqueFd socket(fcntl(guest.socket.get(), F_DUPFD_CLOEXEC, 0));
    DOPPEL_TRY(auto member, Member::create(loop_, lan_, *this, std::move(socket)));
    DOPPEL_CHECK(member->plug_in(wanted.options, wanted.mac));
    const auto address = services_.welcome(member->port());
    Json answer = Json::object();
    if (address) answer["address"] = text_of_ipv4(*address);
    auto done = publish(wanted.forwards, address, *member);
    if (done && !send_message(member->socket(), answer, member->memory()))
        done = fail(Error::system("join the network", options_.name, errno));
    if (!done) {
        forget(*member);
        return done;
    }
    members_.push_back(std::move(member));
    return {};
}

Result<> Server::publish(const std::vector<std::string>& forwards, const std::optional<Ipv4>& address, Member& member) {
    for (const std::string& forward : forwards) {
        if (!uplink_ || !uplink_->parts.publish || !address)
            return fail(Error{"publish a port", forward,
                              "network " + options_.name + " has no NAT that it could lead through to this member",
                              "leave it out, or create a network with the uplink nat"});
        DOPPEL_CHECK(uplink_->parts.publish(forward, text_of_ipv4(*address)));
        member.forwards.push_back(forward);
    }
    return {};
}

void Server::forget(Member& member) {
    services_.farewell(member.port());
    for (const std::string& forward : member.forwards) uplink_->parts.withdraw(forward);
    std::erase(touched_, &member);
}

void Server::left(Member& member, const char* why) {
    if (why[0] != '\0') {
        put_off_++;
        log_warning("network {}: a member is put off the switch: {}", options_.name, why);
    }
    forget(member);
    // It is on the stack.
    loop_.post([this, gone = &member] {
        std::erase_if(members_, [gone](const auto& one) { return one.get() == gone; });
        watch_idle();
    });
}

void Server::touched(Member& member) {
    touched_.push_back(&member);
}

void Server::settle() {
    for (Member* member : std::exchange(touched_, {})) member->flush();
}

// ---- What is told

void Server::start_capture(Guest& guest, const Json& request) {
    const auto name = request.value("port", Json());
    PortId port = 0;
    for (const auto& [id, one] : lan_.ports())
        if (name.is_string() && one.options.name == name.get<std::string>()) port = id;
    if (name.is_string() && port == 0) {
        send_message(guest.socket.get(),
                     to_json(Error{"capture", name.get<std::string>(), "the network has no such member",
                                   "doppel network show lists them"}));
        return;
    }
    setsockopt(guest.socket.get(), SOL_SOCKET, SO_SNDBUF, &kCaptureBytes, sizeof kCaptureBytes);
    send_message(guest.socket.get(), Json::object());
    guest.capture = std::make_unique<Capture>(guest.socket.get(), port);
    guest.capture->begin();
    set_mirror();
}

void Server::set_mirror() {
    if (std::ranges::none_of(guests_, [](const Guest& guest) { return guest.capture != nullptr; }))
        return lan_.set_mirror(nullptr);
    lan_.set_mirror([this](PortId port, bool out, const Frame& frame) {
        const uint64_t time = loop_.clock().realtime();
        const auto* from = lan_.find(port);
        for (Guest& guest : guests_)
            if (guest.capture) guest.capture->frame(port, from->options.name, out, frame, time);
    });
}

Json Server::show() const {
    Json ports = Json::array();
    for (const auto& [id, port] : lan_.ports()) {
        Json counted = Json::object();
        for (const NamedCounter& counter : counters())
            counted[std::string(counter.name)] = port.counters.*counter.value;
        const bool is_uplink = uplink_ && uplink_->id == id;
        ports.push_back({{"name", port.options.name},
                         {"uplink", is_uplink},
                         {"mac", is_uplink ? Json() : Json(text_of(port.mac))},
                         {"addresses", services_.addresses(id)},
                         {"options", text_of(port.options)},
                         {"learned", lan_.addresses().of_port(id)},
                         {"counters", std::move(counted)}});
    }
    uint64_t lost = 0;
    for (const Guest& guest : guests_) lost += guest.capture ? guest.capture->lost() : 0;
    Json shown = Json::parse(to_json(options_));
    shown.update({{"pid", getpid()},
                  {"prefix", text_of_ipv6(prefix6(options_)) + "/64"},
                  {"ports", std::move(ports)},
                  {"put_off", put_off_},
                  {"capture_lost", lost}});
    return shown;
}

// ---- Its end

void Server::watch_idle() {
    const bool idle = !options_.kept && members_.empty() && guests_.empty();
    if (idle) {
        idle_.arm(loop_.clock().monotonic() + kIdle);
    } else {
        idle_.disarm();
    }
}

// Who starts switches holds the lock (folder.cpp): nobody connects between the last look and the end.
void Server::end_if_idle() {
    if (flock(folder_, LOCK_EX | LOCK_NB) != 0) return watch_idle();
    accept_all();
    if (members_.empty() && guests_.empty()) {
        leave();
        loop_.stop();
    }
    flock(folder_, LOCK_UN);
    watch_idle();
}

}  // namespace doppel::network::lan
