// The host's end of the agent's protocol (docs/agent.md): a session with the agent in the guest, and channels in it for
// whoever asks. The guest is not trusted: what breaks the protocol ends the session, and a new one begins.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "agent/frame.h"
#include "agent/messages.h"
#include "base/event_loop.h"
#include "machine/agent/pipe.h"

namespace doppel::machine::agent {

using doppel::agent::Frame;
using doppel::agent::FrameType;

// Who opened a channel.
class ChannelOwner {
  public:
    virtual ~ChannelOwner() = default;
    // DATA, END, CREDIT, INFO or RESULT of a channel of its own, checked; RESULT, which also comes when the session
    // breaks (Status::kLost), is the last.
    virtual void from_agent(const Frame& frame) = 0;
};

class LinkListener {
  public:
    virtual ~LinkListener() = default;
    virtual void agent_came() = 0;     // a session began
    virtual void link_has_room() = 0;  // no longer crowded()
};

// On the loop's thread. At most kHighWater bytes and a frame for each call of the outside wait for the guest.
class AgentLink final : public PipeListener {
  public:
    static constexpr size_t kHighWater = 256 << 10;

    AgentLink(EventLoop& loop, Pipe& pipe);

    void listen(LinkListener& listener) { listener_ = &listener; }
    bool ready() const { return state_ == State::kReady; }
    uint64_t services() const { return services_; }  // as in Hello
    // Whoever asks much should wait for link_has_room() now.
    bool crowded() const { return waiting_bytes_ >= kHighWater; }

    // A channel's number. nullopt: there is no session, or there are too many channels.
    std::optional<uint32_t> open(ChannelOwner& owner, uint8_t service, std::span<const uint8_t> request);
    // DATA, END, CREDIT, CONTROL. False: the owner may not send that.
    [[nodiscard]] bool send(const Frame& frame);
    // Its owner hears nothing more of it.
    void abandon(uint32_t channel);

    void pipe_opened(bool open) override;
    void pipe_received(std::span<const uint8_t> bytes) override;
    void pipe_has_room() override { flush(); }

  private:
    enum class State { kClosed, kGreeting, kReady, kBroken };
    struct Channel {
        ChannelOwner* owner = nullptr;                        // null: abandoned
        uint32_t to_agent = doppel::agent::kInitialWindow;    // bytes that may be sent
        uint32_t from_agent = doppel::agent::kInitialWindow;  // bytes that the agent may send
        bool ended[3] = {};
        bool informed = false;
    };
    void begin();
    void end_session();
    void break_session(const char* why);
    void greet(const Frame& frame);
    bool check(const Frame& frame, Channel& channel);
    bool take(const Frame& frame);
    void enqueue(const Frame& frame);
    void flush();

    EventLoop& loop_;
    Pipe& pipe_;
    LinkListener* listener_ = nullptr;
    State state_ = State::kClosed;
    uint64_t session_ = 0;
    uint64_t services_ = 0;
    doppel::agent::FrameReader reader_;
    std::map<uint32_t, Channel> channels_;
    uint32_t next_channel_ = 1;
    std::deque<std::vector<uint8_t>> waiting_;  // frames for the guest
    size_t waiting_bytes_ = 0;
    bool was_crowded_ = false;
    bool complained_ = false;
    EventLoop::Timer again_;
};

// Adds a window's worth of credit; false if that is more than a side may have. The frame's payload is checked, too.
[[nodiscard]] bool add_credit(uint32_t& window, std::span<const uint8_t> payload);

}  // namespace doppel::machine::agent
