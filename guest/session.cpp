#include "guest/session.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include <algorithm>
#include <array>

#include "base/byte_order.h"
#include "guest/system_call.h"

namespace doppel::guest {

using agent::Frame;
using agent::FrameType;
using agent::Stream;

namespace {

constexpr size_t kPiece = 16 << 10;         // bytes of one DATA frame
constexpr uint32_t kCreditStep = 16 << 10;  // given back in pieces of this size
constexpr uint32_t kFileWindow = 256 << 10;

bool would_block() {
    return errno == EAGAIN || errno == EINTR;
}

// The program's group, which it may not have made yet.
void signal_program(pid_t pid, int number) {
    if (kill(-pid, number) != 0) kill(pid, number);
}

}  // namespace

Session::~Session() {
    for (auto& channel : channels_) abandon(*channel);
}

void Session::serve() {
    while (round()) {
    }
}

void Session::collect(std::vector<pollfd>& fds, std::vector<Watch>& watches) const {
    auto add = [&](const int fd, short events, Wish wish, size_t index) {
        fds.push_back({fd, events, 0});
        watches.push_back({wish, index});
    };
    const bool pending = out_.size() != sent_ || !reported_.empty();
    const bool flooded = out_.size() - sent_ >= 4 * kHighWater;
    add(port_, static_cast<short>((flooded ? 0 : POLLIN) | (pending ? POLLOUT : 0)), Wish::kPort, 0);
    for (size_t i = 0; i < channels_.size(); i++) {
        const Channel& channel = *channels_[i];
        const Worker& worker = channel.worker;
        const bool may_read = !crowded() && channel.may_send > 0;
        if (!channel.ended) add(worker.ended.get(), POLLIN, Wish::kEnded, i);
        if (worker.report && !crowded()) add(worker.report.get(), POLLIN, Wish::kReport, i);
        if (worker.input && !channel.input.empty()) add(worker.input.get(), POLLOUT, Wish::kInput, i);
        if (worker.output && may_read) add(worker.output.get(), POLLIN, Wish::kOutput, i);
        if (worker.error && may_read) add(worker.error.get(), POLLIN, Wish::kError, i);
    }
    for (size_t i = 0; i < leaving_.size(); i++) add(leaving_[i].ended.get(), POLLIN, Wish::kLeaving, i);
}

bool Session::round() {
    std::vector<pollfd> fds;
    std::vector<Watch> watches;
    collect(fds, watches);
    if (poll(fds.data(), fds.size(), -1) < 0) return errno == EINTR;
    const size_t channels = channels_.size();  // those that come meanwhile were not asked for
    const short port = fds[0].revents;
    if ((port & POLLOUT) != 0) {
        // A port can be written to again when the host has taken what was written before.
        if (out_.size() == sent_) reported_.clear();
        if (!write_port()) return false;
    }
    for (size_t i = 1; i < fds.size(); i++) {
        if (fds[i].revents == 0) continue;
        if (watches[i].wish == Wish::kLeaving) {
            reap(leaving_[watches[i].index]);
            continue;
        }
        if (watches[i].index >= channels) continue;
        Channel& channel = *channels_[watches[i].index];
        switch (watches[i].wish) {
            case Wish::kEnded:
                channel.ended = waitpid(channel.worker.pid, &channel.status, WNOHANG) == channel.worker.pid;
                break;
            case Wish::kReport:
                read_report(channel);
                break;
            case Wish::kInput:
                feed_worker(channel);
                break;
            case Wish::kOutput:
                read_output(channel, Stream::kOutput);
                break;
            default:
                read_output(channel, Stream::kError);
        }
    }
    if ((port & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_port()) return false;
    for (auto& channel : channels_) look_after(*channel);
    remove_finished();
    return write_port();
}

bool Session::read_port() {
    static std::array<uint8_t, agent::kMaxFrame> piece;
    const ssize_t got = read(port_, piece.data(), piece.size());
    if (got < 0) return would_block();
    if (got == 0) return false;
    reader_.feed({piece.data(), static_cast<size_t>(got)});
    while (true) {
        Frame frame;
        const auto found = reader_.next(frame);
        if (found == agent::FrameReader::Found::kNothing) return true;
        if (found == agent::FrameReader::Found::kBroken || !take(frame)) return false;
    }
}

bool Session::write_port() {
    while (sent_ < out_.size()) {
        const ssize_t put = write(port_, &out_[sent_], std::min(out_.size() - sent_, agent::kMaxFrame));
        if (put < 0) return would_block();
        sent_ += static_cast<size_t>(put);
    }
    out_.clear();
    sent_ = 0;
    return true;
}

// Where the frame begins that the byte at `offset` belongs to.
size_t Session::frame_at(size_t offset) const {
    size_t begin = 0;
    while (begin < offset) {
        const size_t end = begin + agent::kHeaderSize + load_le<uint32_t>(&out_[begin + 8]);
        if (end > offset) break;
        begin = end;
    }
    return begin;
}

void Session::send(FrameType type, uint8_t stream, uint32_t channel, std::span<const uint8_t> payload) {
    if (sent_ > kHighWater) {  // whole frames: take_hello() relies on it
        const size_t whole = frame_at(sent_);
        out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(whole));
        sent_ -= whole;
    }
    agent::append_frame(out_, {type, stream, channel, payload});
}

void Session::send_outcome(uint32_t channel, const agent::Outcome& outcome) {
    agent::Outcome shortened = outcome;
    constexpr size_t kMaxWhy = 1024;
    if (shortened.why.size() > kMaxWhy) shortened.why.resize(kMaxWhy);
    send(FrameType::kResult, 0, channel, agent::encode(shortened));
}

Session::Channel* Session::find(uint32_t number) {
    for (auto& channel : channels_) {
        if (channel->number == number && channel->worker.pid != -1) return channel.get();
    }
    return nullptr;
}

// False: the host has lost its way.
bool Session::take(const Frame& frame) {
    if (frame.type == FrameType::kHello) {
        const auto hello = agent::parse_hello(frame.payload);
        if (hello) take_hello(*hello);
        return hello.has_value();
    }
    if (!in_session_ || frame.channel == 0) return false;
    if (frame.type == FrameType::kOpen) return find(frame.channel) == nullptr && (open(frame), true);
    // A channel that has ended here may not have ended there yet.
    Channel* channel = find(frame.channel);
    return channel == nullptr || take_for_channel(*channel, frame);
}

bool Session::take_for_channel(Channel& channel, const Frame& frame) {
    switch (frame.type) {
        case FrameType::kData:
            if (frame.payload.size() > channel.may_receive) return false;
            channel.may_receive -= static_cast<uint32_t>(frame.payload.size());
            if (channel.worker.input && !channel.input_ended) {
                channel.input.insert(channel.input.end(), frame.payload.begin(), frame.payload.end());
                feed_worker(channel);
            } else {
                channel.used += static_cast<uint32_t>(frame.payload.size());
            }
            return true;
        case FrameType::kEnd:
            channel.input_ended = true;
            if (channel.input.empty()) end_input(channel);
            return true;
        case FrameType::kCredit: {
            if (frame.payload.size() != 4) return false;
            const auto more = load_le<uint32_t>(frame.payload.data());
            if (more > agent::kMaxWindow - std::min(channel.may_send, agent::kMaxWindow)) return false;
            channel.may_send += more;
            return true;
        }
        case FrameType::kControl:
            control(channel, frame);
            return true;
        case FrameType::kClose: {
            agent::Outcome closed;
            closed.status = agent::Status::kClosed;
            abandon(channel);
            send_outcome(channel.number, closed);
            return true;
        }
        default:
            return false;
    }
}

void Session::take_hello(const agent::Hello& hello) {
    for (auto& channel : channels_) abandon(*channel);
    remove_finished();
    // What was meant for the session before is not sent, except for a frame that has begun.
    const size_t begin = frame_at(sent_);
    if (begin < sent_) {
        out_.resize(begin + agent::kHeaderSize + load_le<uint32_t>(&out_[begin + 8]));
    } else {
        out_.clear();
        sent_ = 0;
    }
    agent::Hello own;
    own.session = hello.session;
    own.services = (uint64_t{1} << agent::kServices) - 1;
    in_session_ = agent::common_version(own, hello).has_value();
    agent::append_hello(out_, own);
}

void Session::open(const Frame& frame) {
    const agent::Bytes request(frame.payload.begin(), frame.payload.end());
    if (channels_.size() >= agent::kMaxChannels || leaving_.size() >= kMaxLeaving) {
        agent::Outcome many = failure("too many requests at once", EAGAIN);
        many.status = agent::Status::kRefused;
        return send_outcome(frame.channel, many);
    }
    std::optional<Worker> worker;
    if (frame.stream == static_cast<uint8_t>(agent::Service::kExec)) {
        const auto program = agent::decode<agent::ExecRequest>(request);
        if (!program) return send_outcome(frame.channel, refusal("the request cannot be read"));
        worker = start_program(*program);
    } else {
        worker = start_worker(static_cast<agent::Service>(frame.stream), request);
    }
    if (!worker) return send_outcome(frame.channel, failure("start a process"));
    auto channel = std::make_unique<Channel>();
    channel->number = frame.channel;
    channel->worker = std::move(*worker);
    if (frame.stream == static_cast<uint8_t>(agent::Service::kPut)) {
        channel->used = kFileWindow - agent::kInitialWindow;
    }
    channels_.push_back(std::move(channel));
}

void Session::control(Channel& channel, const Frame& frame) {
    const auto control = agent::decode<agent::Control>(frame.payload);
    if (!control || !channel.worker.program || channel.ended) return;
    if (control->size && channel.worker.terminal) {
        winsize window{};
        window.ws_col = control->size->columns;
        window.ws_row = control->size->rows;
        ioctl(channel.worker.output.get(), TIOCSWINSZ, &window);
    }
    if (!control->signal || *control->signal == 0 || *control->signal >= NSIG) return;
    // The terminal's foreground, as a key would do; else the program's group.
    pid_t group = channel.worker.pid;
    if (channel.worker.terminal) {
        const pid_t foreground = tcgetpgrp(channel.worker.output.get());
        if (foreground > 0) group = foreground;
    }
    const int number = static_cast<int>(*control->signal);
    if (group != channel.worker.pid) {
        kill(-group, number);
    } else {
        signal_program(group, number);
    }
}

void Session::feed_worker(Channel& channel) {
    while (!channel.input.empty() && channel.worker.input) {
        const ssize_t put = write(channel.worker.input.get(), channel.input.data(), channel.input.size());
        if (put < 0 && would_block()) return;
        size_t taken = channel.input.size();
        if (put >= 0) {
            taken = static_cast<size_t>(put);
        } else {
            channel.worker.input.reset();  // it reads no more; what comes is thrown away
        }
        channel.used += static_cast<uint32_t>(taken);
        channel.input.erase(channel.input.begin(), channel.input.begin() + static_cast<ptrdiff_t>(taken));
    }
    if (channel.input_ended) end_input(channel);
}

void Session::end_input(Channel& channel) {
    if (!channel.worker.input) return;
    if (channel.worker.terminal) {  // as a user ends it
        termios mode{};
        if (tcgetattr(channel.worker.input.get(), &mode) == 0) {
            (void)!write(channel.worker.input.get(), &mode.c_cc[VEOF], 1);
        }
        channel.worker.input.reset();
        return;
    }
    const uint8_t whole = static_cast<uint8_t>(FrameType::kEnd);
    if (!channel.worker.program) ::send(channel.worker.report.get(), &whole, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    channel.worker.input.reset();
}

void Session::read_report(Channel& channel) {
    static std::array<uint8_t, agent::kMaxFrame> packet;
    while (channel.worker.report) {
        const ssize_t got = recv(channel.worker.report.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        if (got < 0 && would_block()) return;
        // Said once, before what the worker sent, when it ended without having read all (unix(7)).
        if (got < 0 && errno == ECONNRESET) continue;
        if (got <= 0) return channel.worker.report.reset();
        const auto payload = std::span<const uint8_t>(packet).subspan(1, static_cast<size_t>(got) - 1);
        if (packet[0] == static_cast<uint8_t>(FrameType::kInfo)) {
            send(FrameType::kInfo, 0, channel.number, payload);
        } else if (!channel.has_outcome) {
            channel.has_outcome = true;
            channel.outcome = agent::decode<agent::Outcome>(payload).value_or(agent::Outcome());
        }
    }
}

void Session::read_output(Channel& channel, Stream stream) {
    UniqueFd& fd = stream == Stream::kError ? channel.worker.error : channel.worker.output;
    read_report(channel);  // what there is to know comes before the data
    static std::array<uint8_t, kPiece> piece;
    while (fd && channel.may_send > 0 && !crowded()) {
        const ssize_t got = read(fd.get(), piece.data(), std::min<size_t>(piece.size(), channel.may_send));
        // What a process that went on in the background prints has no reader any more.
        const bool end = got == 0 || (got < 0 && (!would_block() || (channel.ended && errno == EAGAIN)));
        if (end) {
            send(FrameType::kEnd, static_cast<uint8_t>(stream), channel.number, {});
            fd.reset();
        }
        if (got <= 0) return;
        channel.may_send -= static_cast<uint32_t>(got);
        send(FrameType::kData, static_cast<uint8_t>(stream), channel.number, {piece.data(), static_cast<size_t>(got)});
    }
}

// Credit, and the end.
void Session::look_after(Channel& channel) {
    if (channel.worker.pid == -1) return;
    if (channel.used >= kCreditStep) {
        std::array<uint8_t, 4> raw;
        store_le(raw.data(), channel.used);
        send(FrameType::kCredit, 0, channel.number, raw);
        channel.may_receive += channel.used;
        channel.used = 0;
    }
    if (channel.ended) {
        read_report(channel);
        read_output(channel, Stream::kOutput);
        read_output(channel, Stream::kError);
        if (channel.worker.output || channel.worker.error) return;
        agent::Outcome outcome = channel.outcome;
        if (!channel.has_outcome && !channel.worker.program) outcome = failure("the agent's process ended", EIO);
        if (!channel.has_outcome && WIFEXITED(channel.status)) {
            outcome.exit_code = static_cast<uint32_t>(WEXITSTATUS(channel.status));
        }
        if (!channel.has_outcome && WIFSIGNALED(channel.status)) {
            outcome.signal = static_cast<uint32_t>(WTERMSIG(channel.status));
        }
        finish(channel, outcome);
    } else if (channel.has_outcome && !channel.worker.program && !channel.worker.output && !channel.worker.error) {
        finish(channel, channel.outcome);
    }
}

void Session::finish(Channel& channel, const agent::Outcome& outcome) {
    send_outcome(channel.number, outcome);
    if (channel.worker.report) reported_.push_back(std::move(channel.worker.report));
    if (!channel.ended) leaving_.push_back({channel.worker.pid, std::move(channel.worker.ended)});
    channel.worker.pid = -1;
}

// As when a terminal's line is cut. A worker sees the end of its pipes.
void Session::abandon(Channel& channel) {
    if (channel.worker.pid == -1) return;
    if (channel.worker.program && !channel.ended) {
        for (int number : {SIGHUP, SIGCONT}) signal_program(channel.worker.pid, number);
    }
    if (!channel.ended) leaving_.push_back({channel.worker.pid, std::move(channel.worker.ended)});
    channel.worker = Worker();
}

void Session::reap(Leaving& one) {
    if (waitpid(one.pid, nullptr, WNOHANG) != 0) one.ended.reset();
}

void Session::remove_finished() {
    std::erase_if(channels_, [](const auto& channel) { return channel->worker.pid == -1; });
    std::erase_if(leaving_, [](const Leaving& one) { return !one.ended; });
}

}  // namespace doppel::guest
