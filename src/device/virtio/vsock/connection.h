// One stream between a port of the guest and a socket of the host: its credit, its two ends, what to tell the guest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "device/virtio/vsock/packet.h"

namespace doppel::device::virtio::vsock {

// Knows no queues: the device asks it for packets to the guest and hands it those from the guest. The socket is
// non-blocking. Not thread-safe.
class Connection {
  public:
    enum class State {
        kDialling,   // the guest waits for the host
        kRequested,  // the host waits for the guest
        kOpen,
    };

    // By the guest: its socket comes with `connected`. `buffer` is what the guest may have on its way to a host that
    // does not read, in bytes.
    Connection(Ports ports, uint32_t buffer) : ports_(ports), buffer_(buffer), state_(State::kDialling) {}
    // By the host. The guest is asked first.
    Connection(Ports ports, uint32_t buffer, UniqueFd socket)
        : ports_(ports), buffer_(buffer), state_(State::kRequested), socket_(std::move(socket)), tell_request_(true) {}

    Ports ports() const { return ports_; }
    State state() const { return state_; }
    int socket() const { return socket_.get(); }
    UniqueFd release_socket() { return std::move(socket_); }

    void connected(UniqueFd socket);
    // The guest has accepted: its end hears so, in a line. False when it is gone.
    [[nodiscard]] bool accepted();

    // Every packet of the guest's carries these.
    void take_credit(const Header& header);
    // Whether the guest was allowed to send so much more.
    bool may_receive(uint32_t bytes) const;
    // Data of the guest's, which `may_receive` allowed; what the socket does not take at once waits here.
    void receive(std::span<const uint8_t> data);
    void guest_shut_down(uint32_t flags);
    bool guest_is_done() const { return guest_shut_ == kNeither; }
    void credit_requested() { tell_credit_ = true; }

    // What epoll says of the socket.
    void socket_ready(bool readable, bool writable, bool hung_up);
    // The guest's data, as far as the socket takes it. The packets below may have changed.
    void flush();
    bool flushed() const { return waiting() == 0; }

    // Whether `next` has something to say now.
    bool has_packet() const;
    // The next packet for the guest, with at most `room` bytes of payload, which go to the front of `payload`. Cids
    // are left out.
    std::optional<Header> next(std::span<uint8_t> payload);

  private:
    size_t waiting() const { return backlog_.size() - backlog_at_; }
    void send_some(std::span<const uint8_t>& data);
    void note_forwarded(size_t bytes);
    uint32_t credit() const;
    bool reads_host() const { return readable_ && (host_shut_ & kNoSend) == 0 && (guest_shut_ & kNoReceive) == 0; }
    Header header(Operation operation);
    std::optional<Header> next_data(std::span<uint8_t> payload);

    const Ports ports_;
    const uint32_t buffer_;
    State state_;
    UniqueFd socket_;
    bool readable_ = false, writable_ = true;  // as far as is known
    std::vector<uint8_t> backlog_;             // for the host, from backlog_at_ on
    size_t backlog_at_ = 0;

    // Counts of payload bytes, modulo 2^32.
    uint32_t received_ = 0, forwarded_ = 0;  // from the guest; on to the host
    uint32_t told_forwarded_ = 0;            // what the guest knows of `forwarded_`
    uint32_t sent_ = 0;                      // to the guest
    uint32_t peer_buffer_ = 0, peer_forwarded_ = 0;

    uint32_t guest_shut_ = 0;                      // what the guest will not do any more
    uint32_t host_shut_ = 0, told_host_shut_ = 0;  // what the host will not do; what of it the guest knows

    bool tell_request_ = false, tell_response_ = false, tell_credit_ = false;
    bool asked_for_credit_ = false;
};

}  // namespace doppel::device::virtio::vsock
