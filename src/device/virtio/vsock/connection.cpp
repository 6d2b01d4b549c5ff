#include "device/virtio/vsock/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace doppel::device::virtio::vsock {

void Connection::connected(UniqueFd socket) {
    socket_ = std::move(socket);
    state_ = State::kOpen;
    tell_response_ = true;
}

bool Connection::accepted() {
    state_ = State::kOpen;
    const std::string line = fmt::format("OK {}\n", ports_.host);
    // Nothing was sent before: a socket that does not take all of it takes nothing any more.
    return ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(line.size());
}

void Connection::take_credit(const Header& header) {
    const uint32_t before = credit();
    peer_buffer_ = header.buffer;
    peer_forwarded_ = header.forwarded;
    if (credit() > before) asked_for_credit_ = false;
}

// 5.10.6.3. A guest that takes its promises back, or never made them, is sent nothing.
uint32_t Connection::credit() const {
    const uint32_t under_way = sent_ - peer_forwarded_;
    return under_way < peer_buffer_ ? peer_buffer_ - under_way : 0;
}

bool Connection::may_receive(uint32_t bytes) const {
    const uint32_t held = received_ - forwarded_;  // at most buffer_
    return bytes <= buffer_ - held;
}

void Connection::receive(std::span<const uint8_t> data) {
    received_ += static_cast<uint32_t>(data.size());
    if (waiting() == 0) send_some(data);
    if (data.empty()) return;
    if (backlog_at_ > 0) backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(backlog_at_));
    backlog_at_ = 0;
    backlog_.insert(backlog_.end(), data.begin(), data.end());
}

// What a socket takes no more is lost, as it is for every sender whose peer has gone.
void Connection::send_some(std::span<const uint8_t>& data) {
    while (!data.empty() && (host_shut_ & kNoReceive) == 0 && writable_) {
        const ssize_t sent = ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            writable_ = false;
        } else if (sent < 0) {
            host_shut_ |= kNoReceive;
        } else {
            note_forwarded(static_cast<size_t>(sent));
            data = data.subspan(static_cast<size_t>(sent));
        }
    }
    if ((host_shut_ & kNoReceive) != 0) {
        note_forwarded(data.size());
        data = {};
    }
}

// The guest is told in time to never wait for what is free already.
void Connection::note_forwarded(size_t bytes) {
    forwarded_ += static_cast<uint32_t>(bytes);
    const uint32_t held_as_known = received_ - told_forwarded_;
    if (bytes > 0 && held_as_known > buffer_ / 2) tell_credit_ = true;
}

void Connection::flush() {
    std::span<const uint8_t> data = std::span(backlog_).subspan(backlog_at_);
    send_some(data);
    backlog_at_ = backlog_.size() - data.size();
    if (!data.empty()) return;
    backlog_.clear();
    backlog_.shrink_to_fit();
    backlog_at_ = 0;
    if ((guest_shut_ & kNoSend) != 0 && socket_) ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::guest_shut_down(uint32_t flags) {
    guest_shut_ |= flags & kNeither;
    if ((guest_shut_ & kNoReceive) != 0 && socket_) ::shutdown(socket_.get(), SHUT_RD);
    flush();
}

void Connection::socket_ready(bool readable, bool writable, bool hung_up) {
    if (readable || hung_up) readable_ = true;
    if (writable) writable_ = true;
    if (hung_up) host_shut_ |= kNoReceive;
    flush();
}

bool Connection::has_packet() const {
    if (tell_request_ || tell_response_) return true;
    if (state_ != State::kOpen) return false;
    return tell_credit_ || (host_shut_ & ~told_host_shut_) != 0 ||
           (reads_host() && (credit() > 0 || !asked_for_credit_));
}

Header Connection::header(Operation operation) {
    told_forwarded_ = forwarded_;
    tell_credit_ = false;
    return {.source_port = ports_.host,
            .destination_port = ports_.guest,
            .operation = operation,
            .buffer = buffer_,
            .forwarded = forwarded_};
}

std::optional<Header> Connection::next(std::span<uint8_t> payload) {
    if (std::exchange(tell_request_, false)) return header(Operation::kRequest);
    if (std::exchange(tell_response_, false)) return header(Operation::kResponse);
    if (state_ != State::kOpen) return std::nullopt;
    if (reads_host()) {
        if (auto data = next_data(payload)) return data;
    }
    if ((host_shut_ & ~told_host_shut_) != 0) {
        told_host_shut_ = host_shut_;
        Header shutdown = header(Operation::kShutdown);
        shutdown.flags = host_shut_;
        return shutdown;
    }
    if (tell_credit_) return header(Operation::kCreditUpdate);
    return std::nullopt;
}

std::optional<Header> Connection::next_data(std::span<uint8_t> payload) {
    const size_t most = std::min<size_t>(credit(), payload.size());
    if (most == 0) {
        if (credit() > 0 || std::exchange(asked_for_credit_, true)) return std::nullopt;
        return header(Operation::kCreditRequest);
    }
    ssize_t got = 0;
    do {
        got = ::recv(socket_.get(), payload.data(), most, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        sent_ += static_cast<uint32_t>(got);
        Header data = header(Operation::kData);
        data.length = static_cast<uint32_t>(got);
        return data;
    }
    readable_ = false;
    const bool nothing_yet = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (!nothing_yet) host_shut_ |= kNoSend;
    return std::nullopt;
}

}  // namespace doppel::device::virtio::vsock
