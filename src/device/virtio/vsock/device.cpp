#include "device/virtio/vsock/device.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_order.h"

namespace doppel::device::virtio::vsock {

namespace {

constexpr uint32_t kClassOther = 0x078000;  // communication controller, other
constexpr unsigned kToGuest = 0, kFromGuest = 1, kEvents = 2;

constexpr size_t kPiece = 16 << 10;  // of data, at a time; Linux gives buffers of 4 KiB

// The port of "CONNECT PORT\n".
std::optional<uint32_t> greeted_port(std::string_view line) {
    constexpr std::string_view kWord = "CONNECT ";
    if (!line.starts_with(kWord) || !line.ends_with('\n')) return std::nullopt;
    line = line.substr(kWord.size(), line.size() - kWord.size() - 1);
    uint32_t port = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), port);
    if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return port;
}

}  // namespace

VsockDevice::VsockDevice(uint32_t cid, Host& host)
    : cid_(cid), host_(host), anchor_(std::make_shared<Anchor>(Anchor{this})) {
    host_.listen([anchor = anchor_](UniqueFd client) {
        if (anchor->device != nullptr) anchor->device->add_client(std::move(client));
    });
}

// The loop is at rest, or this is its thread.
VsockDevice::~VsockDevice() {
    anchor_->device = nullptr;
    for (const auto& [id, entry] : sockets_) {
        const int socket = entry.connection ? entry.connection->socket() : entry.client.get();
        if (socket >= 0) transport().loop().unwatch(socket);
    }
}

uint16_t VsockDevice::id() const {
    return VIRTIO_ID_VSOCK;
}

uint32_t VsockDevice::pci_class() const {
    return kClassOther;
}

uint32_t VsockDevice::config_size() const {
    return sizeof(virtio_vsock_config);
}

void VsockDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::array<uint8_t, sizeof(virtio_vsock_config)> image{};
    store_le<uint64_t>(image.data(), cid_);
    std::ranges::copy(std::span(image).subspan(offset, to.size()), to.begin());
}

// --- clients of the host

void VsockDevice::add_client(UniqueFd socket) {
    std::lock_guard guard(transport().device_lock());
    if (!active_ || sockets_.size() >= kMaxConnections) return;  // turned away
    const Id id = next_id_++;
    const int number = socket.get();
    sockets_[id].client = std::move(socket);
    watch(id, number);
}

// Edge-triggered: a peer that has hung up would otherwise be reported for as long as the guest does not care.
void VsockDevice::watch(Id id, int socket) {
    auto ready = [anchor = anchor_, id](uint32_t events) {
        if (anchor->device != nullptr) anchor->device->socket_ready(id, events);
    };
    if (!transport().loop().watch(socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, ready)) reset_connection(id);
}

void VsockDevice::socket_ready(Id id, uint32_t events) {
    std::lock_guard guard(transport().device_lock());
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    Entry& entry = found->second;
    if (!entry.connection) {
        greet(id, entry, events);
    } else {
        entry.connection->socket_ready((events & (EPOLLIN | EPOLLRDHUP)) != 0, (events & EPOLLOUT) != 0,
                                       (events & (EPOLLHUP | EPOLLERR)) != 0);
        settle(id, *entry.connection);
    }
    deliver();
}

// Nothing behind the line is taken: that is the guest's.
void VsockDevice::greet(Id id, Entry& entry, uint32_t events) {
    std::array<char, 32> line;
    const ssize_t there = ::recv(entry.client.get(), line.data(), line.size(), MSG_PEEK | MSG_DONTWAIT);
    const bool gone = there == 0 || (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (there < 0 && !gone) return;
    const std::string_view seen(line.data(), static_cast<size_t>(std::max<ssize_t>(there, 0)));
    const size_t end = seen.find('\n');
    if (end == seen.npos) {
        if (gone || seen.size() == line.size()) remove(id);
        return;
    }
    const auto port = greeted_port(seen.substr(0, end + 1));
    if (!port || ::recv(entry.client.get(), line.data(), end + 1, MSG_DONTWAIT) != static_cast<ssize_t>(end + 1)) {
        return remove(id);
    }
    open_to_guest(id, entry, *port);
}

void VsockDevice::open_to_guest(Id id, Entry& entry, uint32_t guest_port) {
    const Ports ports{guest_port, free_host_port()};
    entry.connection = std::make_unique<Connection>(ports, new_buffer(), std::move(entry.client));
    by_ports_[ports] = id;
    want(id);
}

// There are far more than connections.
uint32_t VsockDevice::free_host_port() {
    const auto taken = [&](uint32_t port) {
        return std::ranges::any_of(by_ports_, [&](const auto& one) { return one.first.host == port; });
    };
    do {
        next_host_port_ = next_host_port_ == UINT32_MAX - 1 ? kFirstHostPort : next_host_port_ + 1;
    } while (taken(next_host_port_));
    return next_host_port_;
}

// --- the end of connections

void VsockDevice::remove(Id id) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    Entry entry = std::move(found->second);
    sockets_.erase(found);
    if (entry.connection && entry.known_to_guest) by_ports_.erase(entry.connection->ports());
    const int socket = entry.connection ? entry.connection->socket() : entry.client.get();
    if (socket >= 0) transport().loop().unwatch(socket);
}

// On any thread; only the loop's may unwatch sockets.
void VsockDevice::close_all() {
    auto closed = std::make_shared<std::vector<UniqueFd>>();
    for (auto& [id, entry] : sockets_) {
        UniqueFd socket = entry.connection ? entry.connection->release_socket() : std::move(entry.client);
        if (socket) closed->push_back(std::move(socket));
    }
    sockets_.clear();
    by_ports_.clear();
    ready_.clear();
    replies_.clear();
    room_.reset();
    deaf_ = false;
    if (closed->empty()) return;
    transport().loop().post([&loop = transport().loop(), closed] {
        for (const UniqueFd& socket : *closed) loop.unwatch(socket.get());
    });
}

// The guest has forgotten the connection. What it sent before still reaches the host.
void VsockDevice::let_go(Id id) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    Connection& connection = *found->second.connection;
    if (connection.socket() < 0 || connection.state() != Connection::State::kOpen) return remove(id);
    connection.guest_shut_down(kNeither);
    if (connection.flushed()) return remove(id);
    by_ports_.erase(connection.ports());
    found->second.known_to_guest = false;
}

void VsockDevice::reset_connection(Id id) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    if (found->second.connection && found->second.known_to_guest) {
        const Ports ports = found->second.connection->ports();
        replies_.push_back(
            {.source_port = ports.host, .destination_port = ports.guest, .operation = Operation::kReset});
    }
    remove(id);
}

// 5.10.6.5: a guest that neither sends nor receives any more hears that the host agrees.
void VsockDevice::settle(Id id, Connection& connection) {
    if (!sockets_[id].known_to_guest) {
        if (connection.flushed()) remove(id);
        return;
    }
    if (!connection.guest_is_done()) return want(id);
    const Ports ports = connection.ports();
    replies_.push_back({.source_port = ports.host, .destination_port = ports.guest, .operation = Operation::kReset});
    let_go(id);
}

// --- packets from the guest

void VsockDevice::notify(unsigned queue) {
    if (queue == kEvents) return tell_of_reset();
    if (queue == kFromGuest) {
        Queue& from = transport().queue(kFromGuest);
        for (unsigned i = 0; i < kQueueSize && !deaf_; i++) {
            std::optional<Chain> chain = transport().next(kFromGuest);
            if (!chain) break;
            const uint64_t written = receive(*chain);
            from.push(std::move(*chain), written);
            deaf_ = replies_.size() >= kMaxReplies;
            if (i + 1 == kQueueSize) transport().schedule(kFromGuest);
        }
        transport().complete(kFromGuest);
    }
    deliver();
}

uint64_t VsockDevice::receive(const Chain& chain) {
    std::array<uint8_t, Header::kBytes> raw;
    if (!chain.read(0, raw)) return 0;
    const Header header = Header::parse(raw);
    if (header.source_cid != cid_ || header.destination_cid != kHostCid) return 0;
    if (header.length > chain.readable_bytes() - Header::kBytes) return 0;
    if (header.type != kStream) return reply_reset(header), 0;
    handle(header, chain);
    return 0;
}

void VsockDevice::reply_reset(const Header& to) {
    if (to.operation == Operation::kReset) return;
    replies_.push_back({.source_port = to.destination_port,
                        .destination_port = to.source_port,
                        .type = to.type,
                        .operation = Operation::kReset});
}

void VsockDevice::handle(const Header& header, const Chain& chain) {
    const auto known = by_ports_.find({header.source_port, header.destination_port});
    if (known == by_ports_.end()) {
        return header.operation == Operation::kRequest ? request(header) : reply_reset(header);
    }
    const Id id = known->second;
    Connection& connection = *sockets_[id].connection;
    connection.take_credit(header);
    const bool open = connection.state() == Connection::State::kOpen;
    switch (header.operation) {
        case Operation::kReset:
            return let_go(id);
        case Operation::kResponse:
            if (connection.state() != Connection::State::kRequested || !connection.accepted()) {
                return reset_connection(id);
            }
            return settle(id, connection);
        case Operation::kData:
            return open ? take_data(id, connection, header, chain) : reset_connection(id);
        case Operation::kShutdown:
            if (!open) return reset_connection(id);
            connection.guest_shut_down(header.flags);
            return settle(id, connection);
        case Operation::kCreditRequest:
            connection.credit_requested();
            return want(id);
        case Operation::kCreditUpdate:
            return want(id);
        default:
            return reset_connection(id);
    }
}

void VsockDevice::request(const Header& header) {
    if (sockets_.size() >= kMaxConnections) return reply_reset(header);
    const Ports ports{header.source_port, header.destination_port};
    const Id id = next_id_++;
    Entry& entry = sockets_[id];
    entry.connection = std::make_unique<Connection>(ports, new_buffer());
    entry.connection->take_credit(header);
    by_ports_[ports] = id;
    host_.connect(ports.host, [anchor = anchor_, id](UniqueFd socket) {
        if (anchor->device != nullptr) anchor->device->host_connected(id, std::move(socket));
    });
}

void VsockDevice::host_connected(Id id, UniqueFd socket) {
    std::lock_guard guard(transport().device_lock());
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;  // the guest has thought better of it
    if (!socket) {
        reset_connection(id);
    } else {
        const int number = socket.get();
        found->second.connection->connected(std::move(socket));
        want(id);
        watch(id, number);
    }
    deliver();
}

void VsockDevice::take_data(Id id, Connection& connection, const Header& header, const Chain& chain) {
    if (!connection.may_receive(header.length)) return reset_connection(id);  // more than it was given credit for
    std::array<uint8_t, kPiece> piece;
    for (uint32_t at = 0; at < header.length;) {
        const auto part = std::span(piece).first(std::min<size_t>(piece.size(), header.length - at));
        if (!chain.read(Header::kBytes + at, part)) return reset_connection(id);
        connection.receive(part);
        at += static_cast<uint32_t>(part.size());
    }
    settle(id, connection);
}

// --- packets to the guest

void VsockDevice::want(Id id) {
    Entry& entry = sockets_[id];
    if (entry.queued || !entry.connection->has_packet()) return;
    entry.queued = true;
    ready_.push_back(id);
}

void VsockDevice::deliver() {
    if (!active_) return;
    Queue& queue = transport().queue(kToGuest);
    if (room_ && room_->stale()) room_.reset();
    unsigned turns = kQueueSize;
    for (; turns > 0 && something_to_say(); turns--) {
        if (!room_) room_ = transport().next(kToGuest);
        if (!room_) break;
        // One that no byte of data fits in would never be filled by some.
        const bool usable = room_->writable_bytes() > Header::kBytes;
        const size_t written = usable ? fill(*room_) : 0;
        if (usable && written == 0) continue;  // nobody had anything to say after all
        queue.push(std::move(*std::exchange(room_, std::nullopt)), written);
    }
    transport().complete(kToGuest);
    if (turns == 0 && something_to_say()) transport().schedule(kToGuest);
    if (deaf_ && replies_.size() < kMaxReplies) {
        deaf_ = false;
        transport().schedule(kFromGuest);
    }
}

// The next packet; 0 bytes when there is none.
size_t VsockDevice::fill(Chain& chain) {
    if (!replies_.empty()) {
        put(chain, replies_.front(), {});
        replies_.pop_front();
        return Header::kBytes;
    }
    std::array<uint8_t, kPiece> payload;
    const auto room = std::span(payload).first(std::min<uint64_t>(kPiece, chain.writable_bytes() - Header::kBytes));
    while (!ready_.empty()) {
        const Id id = ready_.front();
        ready_.pop_front();
        const auto found = sockets_.find(id);
        if (found == sockets_.end()) continue;
        found->second.queued = false;
        if (!found->second.known_to_guest) continue;
        const std::optional<Header> header = found->second.connection->next(room);
        want(id);
        if (!header) continue;
        put(chain, *header, room.first(header->length));
        return Header::kBytes + header->length;
    }
    return 0;
}

void VsockDevice::put(Chain& chain, Header header, std::span<const uint8_t> payload) const {
    header.source_cid = kHostCid;
    header.destination_cid = cid_;
    (void)chain.write(0, header.raw());
    (void)chain.write(Header::kBytes, payload);
}

// 5.10.6.7. The guest reads its cid again, which may be another one.
void VsockDevice::tell_of_reset() {
    if (!tell_reset_) return;
    Queue& queue = transport().queue(kEvents);
    std::optional<Chain> chain = transport().next(kEvents);
    if (chain) {
        std::array<uint8_t, sizeof(virtio_vsock_event)> event{};
        store_le<uint32_t>(event.data(), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
        const bool written = chain->write(0, event);
        queue.push(std::move(*chain), written ? event.size() : 0);
        tell_reset_ = !written;
    }
    transport().complete(kEvents);
}

// --- the device as a whole

void VsockDevice::reset() {
    close_all();
    active_ = false;
    tell_reset_ = false;
}

Result<> VsockDevice::restore(StateReader&) {
    close_all();
    active_ = false;  // until `activate`
    tell_reset_ = true;
    return {};
}

}  // namespace doppel::device::virtio::vsock
