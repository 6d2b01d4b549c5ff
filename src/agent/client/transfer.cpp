#include "agent/client/transfer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/byte_order.h"

namespace doppel::agent::client {

namespace {

constexpr uint32_t kWindow = 256 << 10;     // bytes that may be on their way to us
constexpr uint32_t kCreditStep = 32 << 10;  // given back in pieces of this size
constexpr size_t kEnough = 256 << 10;       // bytes for the machine that wait

size_t step_of(int fd) {
    struct stat status {};
    const bool file = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    return file ? size_t{256} << 10 : size_t{PIPE_BUF};
}

bool would_block() {
    return errno == EAGAIN || errno == EINTR;
}

}  // namespace

Error connection_broke(int error) {
    if (error != 0) return Error::system(kPurpose, "the machine", error);
    return {kPurpose, "the machine", "it closed the connection", ""};
}

Transfer::Transfer(int socket, FrameReader& reader, uint32_t channel, const Streams& streams)
    : socket_(socket),
      reader_(reader),
      channel_(channel),
      streams_(streams),
      output_{streams.output, step_of(streams.output), {}},
      error_{streams.error, step_of(streams.error), {}} {}

Result<Outcome> Transfer::run(Service service, const Bytes& request) {
    send(FrameType::kOpen, static_cast<uint8_t>(service), request);
    give_credit(kWindow - kInitialWindow);
    if (streams_.input < 0) {
        send(FrameType::kEnd, static_cast<uint8_t>(Stream::kInput), {});
        input_open_ = false;
    }
    while (!done()) {
        auto went = round();
        if (went) continue;
        // Given up: the machine says so itself should the connection end here.
        if (!outcome_) send(FrameType::kClose, 0, {});
        (void)write_socket();
        return fail(std::move(went).error());
    }
    return *outcome_;
}

bool Transfer::done() const {
    return outcome_ && !output_.pending() && !error_.pending();
}

Result<> Transfer::round() {
    std::array<pollfd, 5> fds;
    fds.fill({-1, 0, 0});
    fds[0] = {socket_, static_cast<short>((outcome_ ? 0 : POLLIN) | (sent_ < out_.size() ? POLLOUT : 0)), 0};
    const bool reads = input_open_ && !outcome_ && to_agent_ > 0 && out_.size() - sent_ < kEnough;
    if (reads) fds[1] = {streams_.input, POLLIN, 0};
    if (output_.pending()) fds[2] = {output_.fd, POLLOUT, 0};
    if (error_.pending()) fds[3] = {error_.fd, POLLOUT, 0};
    if (streams_.wake >= 0 && !outcome_) fds[4] = {streams_.wake, POLLIN, 0};
    if (outcome_) fds[0].fd = -1;
    if (poll(fds.data(), fds.size(), -1) < 0) {
        return errno == EINTR ? Result<>() : fail(connection_broke(errno));
    }
    if ((fds[0].revents & POLLOUT) != 0) DOPPEL_CHECK(write_socket());
    if (fds[1].revents != 0) DOPPEL_CHECK(read_input());
    if (fds[2].revents != 0) DOPPEL_CHECK(write_sink(output_));
    if (fds[3].revents != 0) DOPPEL_CHECK(write_sink(error_));
    if (fds[4].revents != 0) take_control();
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) DOPPEL_CHECK(read_socket());
    return {};
}

Result<> Transfer::read_socket() {
    std::array<uint8_t, 2 * kMaxFrame> piece;
    const ssize_t got = ::read(socket_, piece.data(), piece.size());
    // A reset is said once, before what the machine sent until it went without having read all (unix(7)).
    if (got < 0 && (would_block() || errno == ECONNRESET)) return {};
    if (got <= 0) return fail(connection_broke(got < 0 ? errno : 0));
    reader_.feed({piece.data(), static_cast<size_t>(got)});
    Frame frame;
    while (!outcome_) {
        switch (reader_.next(frame)) {
            case FrameReader::Found::kNothing:
                return {};
            case FrameReader::Found::kBroken:
                return fail(connection_broke(EPROTO));
            case FrameReader::Found::kFrame:
                DOPPEL_CHECK(take(frame));
        }
    }
    return {};
}

Result<> Transfer::take(const Frame& frame) {
    if (frame.channel != channel_) return {};  // of a request before, which was given up
    if (frame.type == FrameType::kResult) {
        outcome_ = decode<Outcome>(frame.payload);
        if (!outcome_) return fail(connection_broke(EPROTO));
    } else if (frame.type == FrameType::kInfo) {
        if (streams_.info) streams_.info(Bytes(frame.payload.begin(), frame.payload.end()));
    } else if (frame.type == FrameType::kCredit) {
        return take_credit(frame.payload);
    } else if (frame.type == FrameType::kData) {
        if (frame.payload.size() > from_agent_) return fail(connection_broke(EPROTO));
        from_agent_ -= static_cast<uint32_t>(frame.payload.size());
        Sink& sink = frame.stream == static_cast<uint8_t>(Stream::kError) ? error_ : output_;
        if (sink.fd < 0) {
            give_credit(frame.payload.size());
        } else {
            sink.waiting.insert(sink.waiting.end(), frame.payload.begin(), frame.payload.end());
        }
    }
    return {};
}

Result<> Transfer::take_credit(std::span<const uint8_t> payload) {
    if (payload.size() != sizeof(uint32_t)) return fail(connection_broke(EPROTO));
    const auto more = load_le<uint32_t>(payload.data());
    if (more > kMaxWindow - to_agent_) return fail(connection_broke(EPROTO));
    to_agent_ += more;
    return {};
}

Result<> Transfer::read_input() {
    std::array<uint8_t, kMaxPayload> piece;
    const ssize_t got = ::read(streams_.input, piece.data(), std::min<size_t>(piece.size(), to_agent_));
    if (got < 0 && would_block()) return {};
    if (got < 0) return fail(Error::system("read", "the input", errno));
    if (got == 0) {
        input_open_ = false;
        send(FrameType::kEnd, static_cast<uint8_t>(Stream::kInput), {});
        return {};
    }
    to_agent_ -= static_cast<uint32_t>(got);
    send(FrameType::kData, static_cast<uint8_t>(Stream::kInput), {piece.data(), static_cast<size_t>(got)});
    return {};
}

Result<> Transfer::write_sink(Sink& sink) {
    const ssize_t put =
        ::write(sink.fd, &sink.waiting[sink.written], std::min(sink.waiting.size() - sink.written, sink.step));
    if (put < 0 && would_block()) return {};
    if (put < 0) return fail(Error::system("write", "the output", errno));
    sink.written += static_cast<size_t>(put);
    if (!sink.pending()) {
        sink.waiting.clear();
        sink.written = 0;
    }
    give_credit(static_cast<size_t>(put));
    return {};
}

void Transfer::take_control() {
    const auto control = streams_.control ? streams_.control() : std::nullopt;
    if (control) send(FrameType::kControl, 0, encode(*control));
}

void Transfer::give_credit(size_t bytes) {
    credit_ += static_cast<uint32_t>(bytes);
    if (credit_ < kCreditStep || outcome_) return;
    std::array<uint8_t, sizeof(uint32_t)> raw;
    store_le(raw.data(), credit_);
    from_agent_ += std::exchange(credit_, 0);
    send(FrameType::kCredit, 0, raw);
}

void Transfer::send(FrameType type, uint8_t stream, std::span<const uint8_t> payload) {
    append_frame(out_, {type, stream, channel_, payload});
    (void)write_socket();
}

Result<> Transfer::write_socket() {
    while (sent_ < out_.size()) {
        const ssize_t put = ::send(socket_, &out_[sent_], out_.size() - sent_, MSG_NOSIGNAL);
        if (put < 0 && would_block()) return {};
        // The outcome may be there to be read all the same; if not, reading says so.
        if (put < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
        if (put < 0) return fail(connection_broke(errno));
        sent_ += static_cast<size_t>(put);
    }
    out_.clear();
    sent_ = 0;
    return {};
}

}  // namespace doppel::agent::client
