#include "machine/agent/link.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/byte_order.h"
#include "base/entropy.h"
#include "base/log.h"

namespace doppel::machine::agent {

namespace {

using doppel::agent::FrameReader;
using doppel::agent::Hello;
using doppel::agent::Stream;

constexpr uint64_t kPause = 1'000'000'000;  // nanoseconds before a new session after a broken one

}  // namespace

bool add_credit(uint32_t& window, std::span<const uint8_t> payload) {
    if (payload.size() != sizeof(uint32_t)) return false;
    const auto more = load_le<uint32_t>(payload.data());
    if (more == 0 || window > doppel::agent::kMaxWindow || more > doppel::agent::kMaxWindow - window) return false;
    window += more;
    return true;
}

AgentLink::AgentLink(EventLoop& loop, Pipe& pipe)
    : loop_(loop), pipe_(pipe), again_(loop, [this] {
          if (state_ == State::kBroken) begin();
      }) {
    pipe_.listen(*this);
}

void AgentLink::pipe_opened(bool open) {
    end_session();
    state_ = State::kClosed;
    if (open) begin();
}

// A number that no guest guesses: what comes from before cannot be taken for an answer.
void AgentLink::begin() {
    std::array<uint8_t, sizeof session_> raw{};
    if (!host_entropy(raw)) return;
    session_ = load_le<uint64_t>(raw.data());
    state_ = State::kGreeting;
    reader_ = FrameReader();
    std::vector<uint8_t> hello;
    doppel::agent::append_hello(hello, {.session = session_});
    waiting_bytes_ += hello.size();
    waiting_.push_back(std::move(hello));
    flush();
}

void AgentLink::end_session() {
    services_ = 0;
    waiting_.clear();
    waiting_bytes_ = 0;
    const auto channels = std::exchange(channels_, {});
    state_ = State::kClosed;
    const auto lost = doppel::agent::encode(
        doppel::agent::Outcome{.status = doppel::agent::Status::kLost, .why = "the guest's agent went away"});
    for (const auto& [number, channel] : channels) {
        if (channel.owner != nullptr) {
            channel.owner->from_agent({.type = FrameType::kResult, .channel = number, .payload = lost});
        }
    }
    if (std::exchange(was_crowded_, false) && listener_ != nullptr) listener_->link_has_room();
}

// Once a second at most, so that no guest makes a busy loop of it, or a long log.
void AgentLink::break_session(const char* why) {
    if (!std::exchange(complained_, true)) log_warning("agent: {}; a new session with the guest's agent begins", why);
    end_session();
    state_ = State::kBroken;
    again_.arm(loop_.clock().monotonic() + kPause);
}

void AgentLink::pipe_received(std::span<const uint8_t> bytes) {
    if (state_ != State::kGreeting && state_ != State::kReady) return;
    // In pieces: the reader keeps no more than a frame.
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min(bytes.size(), doppel::agent::kMaxFrame));
        bytes = bytes.subspan(piece.size());
        reader_.feed(piece);
        for (bool more = true; more;) {
            Frame frame;
            switch (reader_.next(frame)) {
                case FrameReader::Found::kNothing:
                    more = false;
                    break;
                case FrameReader::Found::kBroken:
                    return break_session("what the guest sends is no frame");
                case FrameReader::Found::kFrame:
                    if (!take(frame)) return;
            }
        }
    }
}

// False: the session is over.
bool AgentLink::take(const Frame& frame) {
    if (state_ == State::kGreeting) {
        greet(frame);
        return true;
    }
    if (frame.type == FrameType::kHello) return true;  // of an earlier session, answered late
    const auto found = channels_.find(frame.channel);
    if (found == channels_.end() || !check(frame, found->second)) {
        break_session("the guest sends what it may not");
        return false;
    }
    ChannelOwner* owner = found->second.owner;
    if (frame.type == FrameType::kResult) channels_.erase(found);
    if (owner != nullptr) owner->from_agent(frame);
    return state_ == State::kReady;
}

void AgentLink::greet(const Frame& frame) {
    const auto hello = frame.type == FrameType::kHello ? doppel::agent::parse_hello(frame.payload) : std::nullopt;
    if (!hello || hello->session != session_) return reader_.lose();  // of before
    if (!doppel::agent::common_version({}, *hello)) {
        if (!std::exchange(complained_, true)) {
            log_warning("agent: the guest's agent speaks version {} to {} of the protocol, this is {}",
                        hello->oldest_version, hello->version, doppel::agent::kVersion);
        }
        return;
    }
    services_ = hello->services;
    state_ = State::kReady;
    if (listener_ != nullptr) listener_->agent_came();
}

bool AgentLink::check(const Frame& frame, Channel& channel) {
    const bool known =
        frame.stream == static_cast<uint8_t>(Stream::kOutput) || frame.stream == static_cast<uint8_t>(Stream::kError);
    switch (frame.type) {
        case FrameType::kData:
            if (!known || channel.ended[frame.stream] || frame.payload.empty()) return false;
            if (frame.payload.size() > channel.from_agent) return false;
            channel.from_agent -= static_cast<uint32_t>(frame.payload.size());
            return true;
        case FrameType::kEnd:
            return known && frame.payload.empty() && !std::exchange(channel.ended[frame.stream], true);
        case FrameType::kCredit:
            return add_credit(channel.to_agent, frame.payload);
        case FrameType::kInfo:
            return !std::exchange(channel.informed, true);
        case FrameType::kResult:
            return doppel::agent::decode<doppel::agent::Outcome>(frame.payload).has_value();
        default:
            return false;
    }
}

std::optional<uint32_t> AgentLink::open(ChannelOwner& owner, uint8_t service, std::span<const uint8_t> request) {
    if (!ready() || channels_.size() >= doppel::agent::kMaxChannels) return std::nullopt;
    while (next_channel_ == 0 || channels_.contains(next_channel_)) next_channel_++;
    const uint32_t number = next_channel_++;
    channels_[number].owner = &owner;
    enqueue({FrameType::kOpen, service, number, request});
    return number;
}

bool AgentLink::send(const Frame& frame) {
    const auto found = channels_.find(frame.channel);
    if (found == channels_.end()) return true;  // it has just ended
    Channel& channel = found->second;
    switch (frame.type) {
        case FrameType::kData:
            if (frame.stream != static_cast<uint8_t>(Stream::kInput) || channel.ended[frame.stream] ||
                frame.payload.empty() || frame.payload.size() > channel.to_agent) {
                return false;
            }
            channel.to_agent -= static_cast<uint32_t>(frame.payload.size());
            break;
        case FrameType::kEnd:
            if (frame.stream != static_cast<uint8_t>(Stream::kInput) ||
                std::exchange(channel.ended[frame.stream], true)) {
                return false;
            }
            break;
        case FrameType::kCredit:
            if (!add_credit(channel.from_agent, frame.payload)) return false;
            break;
        case FrameType::kControl:
            break;
        default:
            return false;
    }
    enqueue(frame);
    return true;
}

void AgentLink::abandon(uint32_t channel) {
    const auto found = channels_.find(channel);
    if (found == channels_.end() || found->second.owner == nullptr) return;
    found->second.owner = nullptr;
    enqueue({.type = FrameType::kClose, .channel = channel});
}

void AgentLink::enqueue(const Frame& frame) {
    std::vector<uint8_t> bytes;
    doppel::agent::append_frame(bytes, frame);
    waiting_bytes_ += bytes.size();
    waiting_.push_back(std::move(bytes));
    flush();
}

void AgentLink::flush() {
    while (!waiting_.empty() && pipe_.send(waiting_.front())) {
        waiting_bytes_ -= waiting_.front().size();
        waiting_.pop_front();
    }
    if (crowded()) {
        was_crowded_ = true;
    } else if (std::exchange(was_crowded_, false) && listener_ != nullptr) {
        listener_->link_has_room();
    }
}

}  // namespace doppel::machine::agent
